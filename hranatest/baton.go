package hranatest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// A baton names a stream and counts its requests, so that each is used once. It
// is signed: nobody gets at another client's stream by guessing.
const (
	batonPayload = 16 // stream and count, big endian
	batonSize    = batonPayload + sha256.Size
)

type batonKey [32]byte

func newBatonKey() (k batonKey) {
	rand.Read(k[:]) // it never fails
	return k
}

func randomUint64() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

func (k *batonKey) sign(dst, payload []byte) []byte {
	mac := hmac.New(sha256.New, k[:])
	mac.Write(payload)
	return mac.Sum(dst)
}

func (k *batonKey) encode(stream, count uint64) string {
	var buf [batonSize]byte
	binary.BigEndian.PutUint64(buf[:], stream)
	binary.BigEndian.PutUint64(buf[8:], count)
	k.sign(buf[:batonPayload], buf[:batonPayload])
	return base64.RawStdEncoding.EncodeToString(buf[:])
}

func (k *batonKey) decode(baton string) (stream, count uint64, ok bool) {
	var buf [batonSize]byte
	if len(baton) != base64.RawStdEncoding.EncodedLen(batonSize) {
		return 0, 0, false
	}
	if _, err := base64.RawStdEncoding.Decode(buf[:], []byte(baton)); err != nil {
		return 0, 0, false
	}
	var want [sha256.Size]byte
	k.sign(want[:0], buf[:batonPayload])
	if !hmac.Equal(want[:], buf[batonPayload:]) {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(buf[:]), binary.BigEndian.Uint64(buf[8:]), true
}
