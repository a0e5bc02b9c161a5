package workfronttest

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// maxApplications is documented: "You can have up to a total of ten OAuth2 Applications at one time"
// (create-oauth-application).
const maxApplications = 10

// Application is what an administrator copies from an OAuth2 application's details in Setup.
type Application struct {
	ClientID, ClientSecret, CustomerID string
}

// User is a Workfront user. The ID is what goes into the JWT's sub.
type User struct {
	ID, Name, EmailAddr string
}

type application struct {
	customerID string
	secrets    []string
	keys       []*publicKey
}

// NewID makes an ID like Workfront's: 32 hexadecimal digits.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	return hex.EncodeToString(b[:])
}

func newApplication() Application {
	return Application{ClientID: NewID(), ClientSecret: NewID(), CustomerID: NewID()}
}

// CreateApplication adds an OAuth2 application with random IDs and a first secret. There can be ten.
func (s *Server) CreateApplication() (Application, error) {
	a := newApplication()
	return a, s.ImportApplication(a)
}

// ImportApplication adds an OAuth2 application whose values the caller chose.
func (s *Server) ImportApplication(a Application) error {
	if a.ClientID == "" || a.ClientSecret == "" || a.CustomerID == "" {
		return errors.New("an application needs a client id, a client secret and a customer id")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.applications[a.ClientID]; ok {
		return fmt.Errorf("application %s exists", a.ClientID)
	}
	if len(s.applications) >= maxApplications {
		return fmt.Errorf("there are %d applications already", maxApplications)
	}
	s.applications[a.ClientID] = &application{customerID: a.CustomerID, secrets: []string{a.ClientSecret}}
	return nil
}

// RemoveApplication deletes an application with its secrets and keys. Its sessions live on.
func (s *Server) RemoveApplication(clientID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.application(clientID); err != nil {
		return err
	}
	delete(s.applications, clientID)
	return nil
}

// AddSecret gives an application one more client secret and returns it.
func (s *Server) AddSecret(clientID string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.application(clientID)
	if err != nil {
		return "", err
	}
	secret := NewID()
	a.secrets = append(a.secrets, secret)
	return secret, nil
}

// RemoveSecret deletes a client secret. Sessions that were started with it live on.
func (s *Server) RemoveSecret(clientID, secret string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.application(clientID)
	if err != nil {
		return err
	}
	i := slices.Index(a.secrets, secret)
	if i < 0 {
		return fmt.Errorf("application %s has no such secret", clientID)
	}
	a.secrets = slices.Delete(a.secrets, i, i+1)
	return nil
}

// AddUser adds a user.
func (s *Server) AddUser(u User) error {
	if u.ID == "" {
		return errors.New("a user needs an id")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.users[u.ID]; ok {
		return fmt.Errorf("user %s exists", u.ID)
	}
	s.users[u.ID] = u
	return nil
}

// AddPublicKey adds a public key to an application, on behalf of the user it will belong to. The PEM holds one X.509
// certificate or one PKIX public key, RSA of 2048 bits or more. The fingerprint is the SHA-256 of the DER form of the
// public key (SubjectPublicKeyInfo), in lower-case hexadecimal digits: the same for either form.
func (s *Server) AddPublicKey(clientID, userID, pem string) (fingerprint string, err error) {
	key, err := parsePublicKey(pem)
	if err != nil {
		return "", err
	}
	key.userID = userID
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.application(clientID)
	if err != nil {
		return "", err
	}
	if _, ok := s.users[userID]; !ok {
		return "", fmt.Errorf("there is no user %s", userID)
	}
	for _, k := range a.keys {
		if k.fingerprint == key.fingerprint && k.userID == userID {
			return "", fmt.Errorf("user %s has added the key %s already", userID, key.fingerprint)
		}
	}
	a.keys = append(a.keys, key)
	return key.fingerprint, nil
}

// RemovePublicKey deletes a public key from an application, for every user who added it.
func (s *Server) RemovePublicKey(clientID, fingerprint string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.application(clientID)
	if err != nil {
		return err
	}
	n := len(a.keys)
	a.keys = slices.DeleteFunc(a.keys, func(k *publicKey) bool { return k.fingerprint == fingerprint })
	if len(a.keys) == n {
		return fmt.Errorf("application %s has no public key %s", clientID, fingerprint)
	}
	return nil
}

// application finds an application; s.mu is held.
func (s *Server) application(clientID string) (*application, error) {
	a, ok := s.applications[clientID]
	if !ok {
		return nil, fmt.Errorf("there is no application %s", clientID)
	}
	return a, nil
}

// sortedUsers are all users, by ID.
func (s *Server) sortedUsers() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	users := make([]User, 0, len(s.users))
	for _, u := range s.users {
		users = append(users, u)
	}
	slices.SortFunc(users, func(a, b User) int { return cmp.Compare(a.ID, b.ID) })
	return users
}
