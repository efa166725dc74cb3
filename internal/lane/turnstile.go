package lane

// A turnstile is those who wait to be let in, first in, first out. Its owner's
// mutex guards it.
type turnstile struct{ head, tail *ticket }

// A ticket is one of them.
type ticket struct {
	in         chan struct{} // closed when it is let in
	pass       *Pass         // what a Gate has given it then
	prev, next *ticket
}

func (q *turnstile) push() *ticket {
	t := &ticket{in: make(chan struct{}), prev: q.tail}
	if q.tail == nil {
		q.head = t
	} else {
		q.tail.next = t
	}
	q.tail = t
	return t
}

// admit lets the first in.
func (q *turnstile) admit() {
	t := q.head
	q.remove(t)
	close(t.in)
}

func (q *turnstile) remove(t *ticket) {
	if t.prev == nil {
		q.head = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		q.tail = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
}

// admitted tells whether t has been let in.
func (t *ticket) admitted() bool {
	select {
	case <-t.in:
		return true
	default:
		return false
	}
}
