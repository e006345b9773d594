//go:build !linux

package main

import "errors"

type tap struct{}

func openTap(uint16) (*tap, error) { return nil, errors.ErrUnsupported }

func (*tap) close() *invites { return newInvites() }
