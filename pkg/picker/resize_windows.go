package picker

import "os"

// watchSize reports nothing: Windows has no signal for it. The size is asked for before each drawing.
func watchSize() (resized <-chan os.Signal, stop func()) { return nil, func() {} }
