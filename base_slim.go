//go:build tursoopt_slim

package tursoopt

import (
	"database/sql/driver"
	"errors"
)

func libsqlConnector(*Config) (driver.Connector, error) {
	return nil, errors.New("turso-opt: base: this program is built with the tag tursoopt_slim, without libsql-client-go (ws and wss need it too)")
}
