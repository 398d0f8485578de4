package accessproxy

import (
	"encoding/binary"
	"io"
)

// socket is the server's end of a WebSocket.
type socket struct {
	io.ReadWriteCloser
	proxy *Proxy
	first []byte // what comes before anything else, until it is approved

	toClient, toServer frames
}

// Read returns what the client is to get.
func (s *socket) Read(b []byte) (int, error) {
	if s.proxy.rules.Words != "" {
		if len(s.first) > 0 {
			n := copy(b, s.first)
			s.first = s.first[n:]
			return n, nil
		}
		if err := s.proxy.wait(); err != nil {
			return 0, err
		}
	}
	n, err := s.ReadWriteCloser.Read(b)
	s.toClient.pass(b[:n])
	return n, err
}

// Write passes on what the client has sent.
func (s *socket) Write(b []byte) (int, error) {
	s.toServer.pass(b)
	return s.ReadWriteCloser.Write(b)
}

// frames finds the data frames in one direction of a WebSocket (RFC 6455, section 5.2).
type frames struct {
	data   func() // called for each; may be nil
	header []byte // as much of the next frame's as has come
	left   uint64 // of the frame's payload
}

const (
	masked      = 0x80
	maskSize    = 4
	firstOfPing = 0x8 // this opcode and those above are of control frames
)

func (f *frames) pass(b []byte) {
	for len(b) > 0 && f.data != nil {
		if f.left > 0 {
			n := min(f.left, uint64(len(b)))
			b, f.left = b[n:], f.left-n
			continue
		}
		f.header = append(f.header, b[0])
		b = b[1:]
		size, whole := payload(f.header)
		if !whole {
			continue
		}
		if f.header[0]&0xf < firstOfPing {
			f.data()
		}
		f.header, f.left = nil, size
	}
}

// payload returns the size of a frame's payload, if the header is whole.
func payload(header []byte) (size uint64, whole bool) {
	if len(header) < 2 {
		return 0, false
	}
	size = uint64(header[1] &^ masked)
	rest := header[2:]
	long := map[uint64]int{126: 2, 127: 8}[size]
	mask := 0
	if header[1]&masked != 0 {
		mask = maskSize
	}
	if len(rest) < long+mask {
		return 0, false
	}
	switch long {
	case 2:
		size = uint64(binary.BigEndian.Uint16(rest))
	case 8:
		size = binary.BigEndian.Uint64(rest)
	}
	return size, true
}

// textFrame returns a frame with text for a command's stdout, as in v5.channel.k8s.io. It has at most 124
// bytes.
func textFrame(text string) []byte {
	const final, binaryOpcode, stdout = 0x80, 0x2, 0x1
	return append([]byte{final | binaryOpcode, byte(1 + len(text)), stdout}, text...)
}
