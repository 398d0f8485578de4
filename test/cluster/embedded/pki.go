package embedded

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const validity = 10 * 365 * 24 * time.Hour

// identity is who a certificate speaks for. Kubernetes reads the user from the common
// name and the groups from the organizations.
type identity struct {
	user   string
	groups []string
	hosts  []string // names and addresses it may serve as
}

// pair is a certificate and its private key, both PEM.
type pair struct{ cert, key []byte }

// authority signs the cluster's certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pair
}

// newAuthority makes a fresh certificate authority.
func newAuthority() (*authority, error) {
	template := certificate(identity{user: "eshell-ca"})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	made, key, err := sign(template, template, nil)
	if err != nil {
		return nil, err
	}
	return parseAuthority(made, key)
}

// loadAuthority reads the authority of a cluster that is up.
func loadAuthority(dir string) (*authority, error) {
	cert, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the cluster's certificate authority: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, fmt.Errorf("read the key of the cluster's certificate authority: %w", err)
	}
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, fmt.Errorf("%s/ca.key holds no PEM block", dir)
	}
	private, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse %s/ca.key: %w", dir, err)
	}
	return parseAuthority(cert, private)
}

func parseAuthority(cert []byte, key *ecdsa.PrivateKey) (*authority, error) {
	block, _ := pem.Decode(cert)
	if block == nil {
		return nil, fmt.Errorf("the authority's certificate holds no PEM block")
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse the authority's certificate: %w", err)
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return &authority{cert: parsed, key: key, pair: pair{cert: cert, key: encoded}}, nil
}

// issue makes a certificate that serves both as a client's and as a server's.
func (a *authority) issue(who identity) (pair, error) {
	cert, key, err := sign(certificate(who), a.cert, a.key)
	if err != nil {
		return pair{}, fmt.Errorf("issue a certificate for %q: %w", who.user, err)
	}
	encoded, err := encodeKey(key)
	return pair{cert: cert, key: encoded}, err
}

func certificate(who identity) *x509.Certificate {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: who.user, Organization: who.groups},
		// clocks differ, also between a machine and its virtual machine
		NotBefore:   time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(validity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, host := range who.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return template
}

// sign makes a key and has its certificate signed by the parent; without a parent's key it signs itself.
func sign(template, parent *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate a key: %w", err)
	}
	if by == nil {
		by = key
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, fmt.Errorf("pick a serial number: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		return nil, nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return encode("CERTIFICATE", der), key, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return encode("EC PRIVATE KEY", der), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
