package lane

// What the tests say of the gate they say of any number of writers, and one shows
// little.
func init() { inServer = 8 }
