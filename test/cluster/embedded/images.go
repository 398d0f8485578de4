package embedded

// image is one of the cluster's own images.
type image struct {
	name       string
	layers     [][]byte // from the bottom up
	entrypoint []string
	command    []string
	user       string
}

// Images are the references of the images a pod can use; nothing else can be pulled.
func Images() []string {
	var refs []string
	for _, i := range images(parts{}) {
		refs = append(refs, imageRef(i.name))
	}
	return refs
}

// parts are the layers of which images are made.
type parts struct {
	base    []byte // accounts, /tmp, a home
	busybox []byte // a POSIX shell and every tool of busybox
	bash    []byte // bash; sh stays busybox's
	dash    []byte // dash as sh, with its libraries
	debian  []byte // programs of Debian, with a loader and libraries, and none that is static
	app     []byte // the programs server and hello
	start   []byte // an entrypoint that prepares the environment
	pause   []byte
}

func images(p parts) []image {
	shell := []string{"sh"}
	return []image{
		{name: "busybox", layers: [][]byte{p.base, p.busybox}, command: shell},
		{name: "bash", layers: [][]byte{p.base, p.busybox, p.bash}, command: []string{"bash"}},
		{name: "dash", layers: [][]byte{p.base, p.busybox, p.dash}, command: shell},
		{name: "debian", layers: [][]byte{p.base, p.debian}, command: shell},
		{name: "noshell", layers: [][]byte{p.base, p.app}, entrypoint: []string{"/server"}},
		{name: "nonroot", layers: [][]byte{p.base, p.busybox}, command: shell, user: "1000:1000"},
		{name: "entrypoint", layers: [][]byte{p.base, p.busybox, p.start},
			entrypoint: []string{"/docker-entrypoint.sh"}, command: []string{"sleep", "86400"}},
		{name: "pause", layers: [][]byte{p.pause}, entrypoint: []string{"/pause"}},
	}
}

func imageRef(name string) string { return "localhost/eshell/" + name + ":1" }

func (i image) config() runConfig {
	return runConfig{
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Entrypoint: i.entrypoint, Cmd: i.command, User: i.user,
	}
}

// startFiles are the entrypoint that many images have: it prepares the environment and becomes its arguments.
func startFiles() []entry {
	return []entry{{path: "docker-entrypoint.sh", mode: 0o755,
		data: []byte("#!/bin/sh\nexport PREPARED=yes\nexec \"$@\"\n")}}
}

// base is below every image in which a person or an application lives.
func base() []entry {
	return []entry{
		{path: "etc/", mode: 0o755},
		{path: "etc/passwd", mode: 0o644,
			data: []byte("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n")},
		{path: "etc/group", mode: 0o644, data: []byte("root:x:0:\napp:x:1000:\n")},
		{path: "root/", mode: 0o700},
		{path: "home/", mode: 0o755},
		{path: "home/app/", mode: 0o755, owner: 1000},
		{path: "tmp/", mode: 0o1777},
		{path: "bin/", mode: 0o755},
	}
}
