// Package config reads the operator's settings: ringpath.yaml, the environment
// (RINGPATH_*) and flags over their defaults, strictly, with all faults at once.
//
// It opens nothing and starts nothing: internal/app turns settings into parts.
package config
