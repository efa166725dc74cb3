package bench

import (
	"math"
	"math/rand/v2"
	"sort"
)

// A zipf picks numbers from 1 on, of which the k-th is wanted as often as
// k^-0.99 says: a few often, most rarely, as users and posts of a web site are.
// math/rand's own cannot have an exponent below 1.
type zipf struct{ sums []float64 }

const zipfExponent = 0.99

func newZipf(n int) zipf {
	z := zipf{make([]float64, n)}
	sum := 0.0
	for i := range z.sums {
		sum += math.Pow(float64(i+1), -zipfExponent)
		z.sums[i] = sum
	}
	return z
}

func (z zipf) pick(r *rand.Rand) int {
	return 1 + sort.SearchFloat64s(z.sums, r.Float64()*z.sums[len(z.sums)-1])
}
