package lifecycle

import (
	"encoding/json"
	"errors"
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

// Text is a field that holds text.
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

// lineOf is the event as a line of JSON, with its end.
func lineOf(event string, fields []Field, now time.Time) ([]byte, error) {
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
			line = appendQuoted(line, field.text)
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

// appendQuoted appends text as JSON. Text without anything to escape, which is nearly all there is, goes as it is.
func appendQuoted(line []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		if text[i] < ' ' || text[i] == '"' || text[i] == '\\' || text[i] >= utf8.RuneSelf {
			// A string can always be marshalled.
			quoted, _ := json.Marshal(text)
			return append(line, quoted...)
		}
	}
	line = append(line, '"')
	line = append(line, text...)
	return append(line, '"')
}
