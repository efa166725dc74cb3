package tursoopt

import "database/sql"

// PoolSeen is what the controller of a DB is told of.
type PoolSeen struct {
	InUse, Begun, Finished, Answered, Refused int
}

func PoolSeenOf(db *sql.DB) PoolSeen {
	t := db.Driver().(*Driver).connector.sizer.Load().uses.totals()
	if t.answered > 0 && t.server <= 0 || t.begun > 0 && t.busy <= 0 {
		panic("counted without its time")
	}
	return PoolSeen{InUse: t.inUse, Begun: t.begun, Finished: t.finished, Answered: t.answered, Refused: t.refused}
}
