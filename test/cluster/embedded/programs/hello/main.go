// Command hello is a program whose three streams and exit code a test can choose,
// for images in which nothing else can be run.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
)

func main() {
	cat := flag.Bool("cat", false, "copy standard input to standard output")
	code := flag.Int("exit", 0, "exit with this code")
	flag.Parse()
	fmt.Println("hello from", strings.Join(flag.Args(), " "))
	fmt.Fprintln(os.Stderr, "to stderr")
	if *cat {
		if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(*code)
}
