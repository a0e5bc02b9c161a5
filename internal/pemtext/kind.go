package pemtext

import "strings"

// Kind says what a block is.
type Kind int

// The kinds up to Request are plain: they are blocks of PEM that are read as they are. The rest has to be converted
// first, or is of no use here.
const (
	_                  Kind = iota
	PKCS8                   // a private key in PKCS#8, of any algorithm
	PKCS1                   // an RSA private key in PKCS#1
	EC                      // an elliptic curve private key in SEC 1
	DSA                     // a DSA private key in OpenSSL's own form
	PublicKey               // a public key in PKIX form, of any algorithm
	PKCS1Public             // an RSA public key in PKCS#1
	Certificate             // an X.509 certificate
	TrustedCertificate      // one with OpenSSL's settings of trust; its DER is the certificate alone
	Request                 // a certificate request, PKCS#10
	Parameters              // of an algorithm, as OpenSSL writes them beside a key
	Encrypted               // a private key that is encrypted, in either form
	OpenSSH                 // a private key in OpenSSH's own format
	PKCS7                   // certificates in PKCS#7 (.p7b)
	PKCS12                  // PKCS#12 (.p12, .pfx)
	JWK                     // a JSON Web Key
	DotNet                  // .NET's RSAParameters, as XML or JSON
	PuTTY                   // a .ppk file
	SSHPublic               // an OpenSSH public key, one line
	UTF16                   // text in UTF-16
	Binary                  // bytes that are no text, and may have been damaged on their way through JSON
	Other                   // a PEM block of another kind
)

// kinds holds, for each Kind, the label of a plain PEM block and how an error names it; then the commands that make a
// PEM private key and a PEM certificate of it, where there is one that most people have.
var kinds = [...]struct{ label, name, toPrivateKey, toCertificate string }{
	PKCS8:       {label: "PRIVATE KEY", name: "a private key"},
	PKCS1:       {label: "RSA PRIVATE KEY", name: "an RSA private key"},
	EC:          {label: "EC PRIVATE KEY", name: "an elliptic curve private key"},
	DSA:         {label: "DSA PRIVATE KEY", name: "a DSA private key"},
	PublicKey:   {label: "PUBLIC KEY", name: "a public key"},
	PKCS1Public: {label: "RSA PUBLIC KEY", name: "a public key"},
	Certificate: {label: "CERTIFICATE", name: "a certificate"},
	TrustedCertificate: {
		label: "CERTIFICATE", name: "a TRUSTED CERTIFICATE with trust settings of its own",
		toCertificate: "openssl x509 -in trusted.pem -out certificate.pem",
	},
	Request:    {label: "CERTIFICATE REQUEST", name: "a certificate signing request"},
	Parameters: {name: "parameters of an algorithm"},
	Encrypted: {
		name: "an encrypted private key", toPrivateKey: "openssl pkey -in private.key -out decrypted.key",
	},
	OpenSSH: {
		name: "a private key in OpenSSH's own format", toPrivateKey: "ssh-keygen -p -m PEM -N '' -f private.key",
	},
	PKCS7: {
		name:          "a PKCS#7 file (.p7b)",
		toCertificate: "openssl pkcs7 -in certificate.p7b -print_certs -out certificate.pem",
	},
	PKCS12: {
		name:          "a PKCS#12 file (.p12, .pfx)",
		toPrivateKey:  "openssl pkcs12 -in private.p12 -nodes -out private.key",
		toCertificate: "openssl pkcs12 -in certificate.p12 -nokeys -out certificate.pem",
	},
	JWK: {
		name: "a JSON Web Key",
		toPrivateKey: "node -p \"crypto.createPrivateKey({key:JSON.parse(fs.readFileSync('private.jwk')),format:'jwk'})" +
			".export({type:'pkcs8',format:'pem'})\" > private.key",
	},
	DotNet: {
		name: "an RSA key in .NET's own form",
		toPrivateKey: "pwsh -c '$k = [Security.Cryptography.RSA]::Create(); " +
			"$k.FromXmlString((Get-Content -Raw private.xml)); $k.ExportPkcs8PrivateKeyPem()' > private.key",
	},
	PuTTY:     {name: "a PuTTY key (.ppk)", toPrivateKey: "puttygen private.ppk -O private-openssh -o private.key"},
	SSHPublic: {name: "an OpenSSH public key"},
	UTF16: {
		name: "text in UTF-16", toPrivateKey: "iconv -f UTF-16 -t UTF-8 utf16.key > private.key",
		toCertificate: "iconv -f UTF-16 -t UTF-8 utf16.pem > certificate.pem",
	},
	Binary: {
		name: "a binary file, perhaps DER", toPrivateKey: "openssl pkey -inform DER -in private.der -out private.key",
		toCertificate: "openssl x509 -inform DER -in certificate.der -out certificate.pem",
	},
	Other: {name: "a PEM block of another kind"},
}

// String names k in a sentence, with its article: "a certificate".
func (k Kind) String() string { return kinds[k].name }

// Plain tells whether blocks of k are read as they are.
func (k Kind) Plain() bool { return k >= PKCS8 && k <= Request }

// Private tells whether k holds a private key, readable or not.
func (k Kind) Private() bool {
	switch k {
	case PKCS8, PKCS1, EC, DSA, Encrypted, OpenSSH:
		return true
	}
	return false
}

// ToPrivateKey returns the command that makes an unencrypted PEM private key of a file of this kind, or "".
func (k Kind) ToPrivateKey() string { return kinds[k].toPrivateKey }

// ToCertificate returns the command that makes a PEM certificate of a file of this kind, or "".
func (k Kind) ToCertificate() string { return kinds[k].toCertificate }

func (k Kind) label() string { return kinds[k].label }

// labelled returns what the label of a PEM block says is inside. White space does not count: some ways of copying take
// all of it away.
func labelled(label string) Kind {
	label = strings.Join(strings.Fields(label), "")
	switch label {
	case "X509CERTIFICATE", "TRUSTEDCERTIFICATE":
		return Certificate
	case "NEWCERTIFICATEREQUEST":
		return Request
	case "ENCRYPTEDPRIVATEKEY":
		return Encrypted
	case "OPENSSHPRIVATEKEY":
		return OpenSSH
	case "PKCS7", "CMS":
		return PKCS7
	}
	if strings.HasSuffix(label, "PARAMETERS") {
		return Parameters
	}
	for k := PKCS8; k <= Request; k++ {
		if label == strings.ReplaceAll(k.label(), " ", "") {
			return k
		}
	}
	return Other
}
