// Package phone is the vocabulary of a phone system: numbers, users, teams,
// targets, legs, causes and errors, with the contracts between the parts that
// use them.
//
// It decides nothing, starts nothing and imports nothing else of this program,
// so that every other package may import it.
package phone
