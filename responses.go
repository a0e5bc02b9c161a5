package main

import (
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
)

// ok describes an answer with data, for the OpenAPI document.
func ok(description string, fields map[string]*framework.FieldSchema) map[int][]framework.Response {
	return map[int][]framework.Response{http.StatusOK: {{Description: description, Fields: fields}}}
}

// written describes the answer to a write, which holds no data: none, or one with warnings.
func written(description string) map[int][]framework.Response {
	return map[int][]framework.Response{
		http.StatusOK:        {{Description: description + " There are warnings."}},
		http.StatusNoContent: {{Description: description}},
	}
}

func noContent() map[int][]framework.Response {
	return map[int][]framework.Response{http.StatusNoContent: {{Description: "Deleted, or not there."}}}
}
