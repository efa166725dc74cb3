// Package cache keeps results of reads for as long as they are provably those that
// the database would give, as far as this process writes to it, and for the time
// of a lease as far as others do.
//
// # Epochs
//
// Every table has an epoch, and every row that is written by its primary key has
// one. A result depends on the epochs of what it was read from. The protocol:
//
//   - A write bumps the epochs of what it touches before it is sent, which ends
//     every entry that depends on them, and marks them as being written.
//   - It bumps them again when it has completed, before its caller learns of it,
//     and takes the mark away: a result read in between may be from before it.
//   - A write whose outcome is unknown leaves the mark where it is until it is
//     settled that nothing of it can happen any more.
//   - A read remembers the epochs from before its request was sent. Its result is
//     kept under these, and only if nothing that it depends on is marked: what is
//     under way at the end may have begun before the beginning.
//   - A result is served only if its epochs are still the current ones.
//   - A read joins another's flight only if a result with the flight's epochs
//     could be served and kept at that moment.
//
// So it does not matter what the store loses, delays or brings back: it holds no
// truth.
//
// The tables of a statement are true of one version of the schema. When another
// version is seen everything is bumped before anybody gets the answer that has
// shown it, and writes that are under way count as touching everything.
package cache
