package sqld

// DiesWithParent tells whether this system can tie a server to the life of the
// program that started it.
var DiesWithParent = dieWithParent() != nil

// Platform names this machine as the installed folder does.
func Platform() string { return platform() }
