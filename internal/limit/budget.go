package limit

import "sync/atomic"

// A Budget bounds what is sent again, all together: a server in trouble must not
// get much more work for being in trouble. Each request that is sent for the
// first time adds a tenth of a retry, up to a reserve for quiet times. The zero
// value has that reserve; nil is a Budget of nothing. It is safe for concurrent
// use.
type Budget struct {
	spent  atomic.Int64 // tenths of retries beyond what requests have added
	denied atomic.Uint64
}

// reserve is how many retries there are at the start, and at most.
const reserve = 10

// Earn counts a request that is sent for the first time.
func (b *Budget) Earn() {
	if b == nil {
		return
	}
	for {
		n := b.spent.Load()
		if n <= 0 || b.spent.CompareAndSwap(n, n-1) {
			return
		}
	}
}

// Spend takes a retry, if there is one left.
func (b *Budget) Spend() bool {
	if b == nil {
		return false
	}
	for {
		n := b.spent.Load()
		if n+10 > reserve*10 {
			b.denied.Add(1)
			return false
		}
		if b.spent.CompareAndSwap(n, n+10) {
			return true
		}
	}
}

// Denied is how often there was none left.
func (b *Budget) Denied() uint64 {
	if b == nil {
		return 0
	}
	return b.denied.Load()
}
