package config

import "strings"

// Schema returns the JSON Schema of a settings file, for editors.
func Schema() map[string]any {
	tables := map[string]any{}
	for i := range Table {
		s := &Table[i]
		table, key, ok := strings.Cut(s.Key, ".")
		if !ok {
			continue
		}
		properties, known := tables[table].(map[string]any)
		if !known {
			properties = map[string]any{}
			tables[table] = properties
		}
		properties[key] = s.schema()
	}
	for name, properties := range tables {
		tables[name] = object(properties)
	}
	schema := object(tables)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "awaitd.toml"
	return schema
}

func object(properties any) map[string]any {
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

// schema is the shape of a setting's value with its description and default.
func (s *Setting) schema() map[string]any {
	schema := map[string]any{"description": s.Prose}
	shape := s.Shape()
	for k, v := range shape.Schema {
		schema[k] = v
	}
	switch {
	case s.Default == "":
	case shape.Bool:
		schema["default"] = s.Default == "true"
	case shape.List:
		schema["default"] = s.split(s.Default)
	default:
		schema["default"] = s.Default
	}
	return schema
}
