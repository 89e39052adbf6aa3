package lifecycle

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// A Field is a part of an event: a label, a value, its time.
type Field struct {
	name   string
	kind   fieldKind
	text   string
	number float64
}

type fieldKind uint8

const (
	textField fieldKind = iota
	numberField
	boolField
)

const (
	// Of a text in UTF-8. The exporter cuts labels to 1,024 bytes and rejects longer parts of keys: a cut here hides neither.
	textBytesMax = 4096
	// Of a text in a line that is too long otherwise: still more than a part of a key may have, so that none becomes another one.
	shortTextBytesMax = 1100
	// Of a line, without its end. The exporter takes 65,536.
	lineBytesMax = 65000
	// The last character of a text that was cut.
	cutMark = "…"
)

// Text is a field that holds text. What is no UTF-8 in it becomes U+FFFD. A text of over 4,096 bytes is cut, as all are to 1,100 bytes in an
// event of over 65,000.
func Text(name, value string) Field {
	return Field{name: name, kind: textField, text: value}
}

// Number is a field that holds a number, which has to be finite.
func Number(name string, value float64) Field {
	return Field{name: name, kind: numberField, number: value}
}

// Bool is a field that holds true or false.
func Bool(name string, value bool) Field {
	return Field{name: name, kind: boolField, text: strconv.FormatBool(value)}
}

// At is the time of an event that did not happen just now.
func At(when time.Time) Field {
	return Number("time", seconds(when))
}

// seconds are Unix seconds to the millisecond.
func seconds(when time.Time) float64 {
	return float64(when.UnixMilli()) / 1000
}

var errNotFinite = errors.New("is not a finite number")

// lineOf is the event as a line of JSON, with its end. Users choose some of the texts (names, paths), so a text may be of any length: the
// line is one that the exporter takes all the same. All clients do so by the same rules.
func lineOf(event string, fields []Field, now time.Time) ([]byte, error) {
	line, err := lineWith(event, fields, now, textBytesMax)
	if len(line) > lineBytesMax+1 {
		line, err = lineWith(event, fields, now, shortTextBytesMax)
	}
	if len(line) > lineBytesMax+1 {
		return nil, fmt.Errorf("the line has %d bytes, and may have %d", len(line)-1, lineBytesMax)
	}
	return line, err
}

func lineWith(event string, fields []Field, now time.Time, bytesMax int) ([]byte, error) {
	line := make([]byte, 0, 96+48*len(fields))
	line = append(line, `{"event":`...)
	line = appendQuoted(line, event)
	timed := false
	for i := range fields {
		field := &fields[i]
		line = append(line, ',')
		line = appendQuoted(line, field.name)
		line = append(line, ':')
		switch field.kind {
		case textField:
			line = appendQuoted(line, cut(field.text, bytesMax))
		case boolField:
			line = append(line, field.text...)
		case numberField:
			if math.IsNaN(field.number) || math.IsInf(field.number, 0) {
				return nil, errors.New(field.name + " " + errNotFinite.Error())
			}
			line = strconv.AppendFloat(line, field.number, 'f', -1, 64)
		}
		timed = timed || field.name == "time"
	}
	if !timed {
		line = append(line, `,"time":`...)
		line = strconv.AppendFloat(line, seconds(now), 'f', -1, 64)
	}
	return append(line, "}\n"...), nil
}

// cut is the text, if it has at most as many bytes of UTF-8; else its beginning, and … as the last character.
func cut(text string, bytesMax int) string {
	// A byte that is no UTF-8 becomes a character of three bytes.
	if len(text)*3 <= bytesMax {
		return text
	}
	size, end := 0, 0
	for i, character := range text {
		if size+len(cutMark) <= bytesMax {
			end = i
		}
		size += utf8.RuneLen(character)
		if size > bytesMax {
			return text[:end] + cutMark
		}
	}
	return text
}

// appendQuoted appends text as JSON. Text without anything to escape, which is nearly all there is, goes as it is.
func appendQuoted(line []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		if text[i] < ' ' || text[i] == '"' || text[i] == '\\' || text[i] >= utf8.RuneSelf {
			return appendEscaped(line, text)
		}
	}
	line = append(line, '"')
	line = append(line, text...)
	return append(line, '"')
}

// appendEscaped escapes no more than JSON asks for, as the other clients do: the length of a line is the same in every language.
func appendEscaped(line []byte, text string) []byte {
	line = append(line, '"')
	for _, character := range text {
		switch character {
		case '"', '\\':
			line = append(line, '\\', byte(character))
		case '\b':
			line = append(line, `\b`...)
		case '\f':
			line = append(line, `\f`...)
		case '\n':
			line = append(line, `\n`...)
		case '\r':
			line = append(line, `\r`...)
		case '\t':
			line = append(line, `\t`...)
		default:
			if character < ' ' {
				line = append(line, fmt.Sprintf(`\u%04x`, character)...)
			} else {
				line = utf8.AppendRune(line, character)
			}
		}
	}
	return append(line, '"')
}
