//go:build glebarez

package main

import _ "github.com/glebarez/sqlite"
