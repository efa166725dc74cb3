package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Scenario is one comparison. Only Title, About, Work and Figures are needed.
type Scenario struct {
	// ID is the row of the table of claims, or a word.
	ID string
	// Name is what --scenario takes beside ID.
	Name  string
	Title string
	// About explains what is measured, how, and where it does not help.
	About string
	// RTT is the round-trip time of the emulated network. With 0 there is none:
	// the sides connect to the server directly, and only Counted looks at what
	// passes.
	RTT time.Duration
	// Mbit is the bandwidth of the emulated network in each direction, in Mbit/s; 0 is
	// no limit. A database of somebody's has its own.
	Mbit int
	// IdleDrop is how long a connection may be idle on that network before it is
	// forgotten in silence; 0 is for ever.
	IdleDrop time.Duration
	// Goroutines is 1 if it is 0.
	Goroutines int
	// Sides are Base and Ours if there are none.
	Sides []Side
	// Once has each side do one operation in one round, for operations that take
	// seconds.
	Once bool
	// Arrivals replaces the goroutines by a programme of loads, one after the other,
	// in a single round; Work's first Task is run by any number of callers at once.
	Arrivals []Arrival
	// Tell gives what there is to say beside the figures; may be nil.
	Tell func(o *observed) []string
	// Counted is the number of operations of each goroutine in a pass of its own
	// through a counting network of the same RTT. A scenario with an RTT counts
	// in its rounds and needs none.
	Counted int
	// CountOnly: the counted pass is all.
	CountOnly bool
	// Watch gives texts whose statements are counted on the network of the rounds.
	Watch func(w World) []string
	// Axis and Plotted are what curves show, for points that are not numbers of
	// goroutines and for what is not throughput.
	Axis    string
	Plotted *Metric
	// WatchHeap has the peak of the heap looked for.
	WatchHeap bool
	// Heavy: its tables are too large to make in a database that somebody else
	// pays for, unless it is asked for by name.
	Heavy bool
	// MayFail says why a side cannot do the work, by its name.
	MayFail map[string]string
	// Setup gives the SQL that makes the tables.
	Setup func(w World) []string
	// Work is the operation. It gets the tables' names and sizes.
	Work    func(w World) Work
	Figures []Figure
}

func (s *Scenario) sides() []Side {
	if s.Sides == nil {
		return []Side{Base, Ours}
	}
	return s.Sides
}

func (s *Scenario) goroutines() int { return max(s.Goroutines, 1) }

// goroutinesOf are those of one side.
func (s *Scenario) goroutinesOf(side Side) int {
	if side.goroutines > 0 {
		return side.goroutines
	}
	return s.goroutines()
}

// workOf is what one side does.
func (s *Scenario) workOf(side Side, w World) Work {
	if side.work != nil {
		return side.work(w)
	}
	return s.Work(w)
}

// called tells whether a word of a list means the scenario: a row of the table of
// claims may have several, such as 14-10 and 14-100.
func (s *Scenario) called(word string) bool {
	return s.ID == word || s.Name == word || strings.HasPrefix(s.ID, word+"-")
}

// Select gives the scenarios that a list of IDs and names asks for, in their own
// order; all of them for an empty list.
func Select(list string) ([]*Scenario, error) {
	if strings.TrimSpace(list) == "" {
		return Scenarios, nil
	}
	wanted := map[string]bool{}
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		if !slices.ContainsFunc(Scenarios, func(s *Scenario) bool { return s.called(word) }) {
			return nil, fmt.Errorf("no scenario %q; --list shows them", word)
		}
		wanted[word] = true
	}
	var chosen []*Scenario
	for _, s := range Scenarios {
		for word := range wanted {
			if s.called(word) {
				chosen = append(chosen, s)
				break
			}
		}
	}
	return chosen, nil
}
