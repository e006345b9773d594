package softphone

// Payload types of G.711 (RFC 3551 §6).
const (
	pcmu = 0
	pcma = 8
)

// encode makes a sample one octet of G.711.
func encode(payload byte, sample int16) byte {
	if payload == pcma {
		return encodeA(sample)
	}
	return encodeU(sample)
}

func decode(payload byte, octet byte) int16 {
	if payload == pcma {
		return decodeA(octet)
	}
	return decodeU(octet)
}

const (
	biasU = 0x84  // added so that every segment has a leading one
	clipU = 32635 // the largest sample that the bias leaves room for
)

func encodeU(sample int16) byte {
	sign, x := byte(0), int(sample)
	if x < 0 {
		sign, x = 0x80, -x
	}
	x = min(x, clipU) + biasU
	segment := byte(7)
	for mask := 0x4000; x&mask == 0 && segment > 0; mask >>= 1 {
		segment--
	}
	return ^(sign | segment<<4 | byte(x>>(segment+3))&0x0f)
}

func decodeU(octet byte) int16 {
	octet = ^octet
	x := (int16(octet&0x0f)<<3 + biasU) << (octet >> 4 & 7)
	if octet&0x80 != 0 {
		return biasU - x
	}
	return x - biasU
}

func encodeA(sample int16) byte {
	sign, x := byte(0x80), int(sample)
	if x < 0 {
		sign, x = 0, -x-1
	}
	segment := byte(7)
	for mask := 0x4000; x&mask == 0 && segment > 0; mask >>= 1 {
		segment--
	}
	shift := max(segment, 1) + 3
	return (sign | segment<<4 | byte(x>>shift)&0x0f) ^ 0x55
}

func decodeA(octet byte) int16 {
	octet ^= 0x55
	segment := octet >> 4 & 7
	x := int16(octet&0x0f)<<4 + 8
	if segment > 0 {
		x = (x + 0x100) << (segment - 1)
	}
	if octet&0x80 == 0 {
		return -x
	}
	return x
}
