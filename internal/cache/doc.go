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
//     kept only if these are still current and nothing that it depends on is marked:
//     what is under way at the end may have begun before the beginning.
//   - A result is served only if its epochs are still the current ones.
//   - A read joins another's flight only if a result with the flight's epochs
//     could be served and kept at that moment.
//
// # Unseen writes
//
// A write that depends on nothing but rows that it changes, and that nobody can learn
// of but by these rows, commutes with all that touches other rows. Until it is
// acknowledged, and as long as nobody has had an answer that comes from its rows, it
// may as well not have happened yet. So it is different with one of those, if it is
// the only one of its caller in its request, and there is nothing else in that:
//
//   - It bumps when it has completed, and not before it is sent. Its mark keeps no
//     read from being joined or kept.
//   - Before anybody gets an answer that may come from what it touches, that is
//     bumped: what is older than this answer is not served any more. If the answer is
//     that of a flight, it is kept under the epochs from after that.
//   - An answer that may come from what another write changes that is under way may
//     come from all that this one has read: then all of them are bumped. So they are
//     when a write of unknown outcome is over, since no answer has told what it read.
//   - When its outcome is unknown it becomes a write like others.
//
// What a write has ended that had been served is asked for again.
//
// So it does not matter what the store loses, delays or brings back: it holds no
// truth.
//
// The tables of a statement are true of one version of the schema. When another
// version is seen everything is bumped before anybody gets the answer that has
// shown it, and writes that are under way count as touching everything.
package cache
