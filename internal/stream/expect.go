package stream

import (
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

// expect is what the answer to a plan will probably be like, from what its texts
// have brought so far.
func (p *Plan) expect(class exec.Class) (e hranahttp.Expect) {
	e.Steady = class == exec.Read
	var most int64
	for i := range p.Stmts {
		n := p.Stmts[i].Note
		size := n.Body.Load()
		if size == 0 {
			size = n.Answer.Load() // which is more
		}
		e.Size += size
		switch {
		case n == e.Note:
			most += size
			e.Times++
		case size > most || i == 0:
			most, e.Note, e.Times = size, n, 1
		}
	}
	if most < e.Size-e.Size/4 {
		e.Note, e.Times = nil, 0 // too mixed to say anything of one of them
	}
	return e
}
