package exchange

// Flow is how much an application may send to one client.
type Flow struct {
	Owed   int // bytes that were received and not granted again
	Window int // bytes that may be on their way
}

// Refill returns how many bytes may be granted for those that have left: more or less, if the window has changed.
func (f *Flow) Refill(window int) int {
	n := f.Owed + window - f.Window
	if n <= 0 { // the window shrinks by what is owed, and by the rest later
		f.Window -= f.Owed
		f.Owed = 0
		return 0
	}
	f.Owed, f.Window = 0, window
	return n
}

// RefillSome is Refill for small amounts that come one by one: it grants none until they are worth a frame.
func (f *Flow) RefillSome(window int) int {
	if f.Owed < window/4 && f.Window == window {
		return 0
	}
	return f.Refill(window)
}
