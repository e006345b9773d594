package store

import (
	"context"
	"strconv"
)

// LimitPages lets the database grow to n pages only, as a full disk would; 0
// takes the limit away.
func (db *DB) LimitPages(ctx context.Context, n int) error {
	if n == 0 {
		n = 4294967294
	}
	var unused int
	return db.write.QueryRowContext(ctx, "PRAGMA max_page_count = "+strconv.Itoa(n)).Scan(&unused)
}

// Pages is how many pages the database has.
func (db *DB) Pages(ctx context.Context) (n int, err error) {
	err = db.write.QueryRowContext(ctx, "PRAGMA page_count").Scan(&n)
	return n, err
}
