// Package app puts the program together: settings become parts, the parts run,
// and they are closed in reverse order. Nothing else turns settings into parts.
package app
