// Package policy holds the house rules as tests: which package may import which, what only one package may do, how large things
// may get, and that what the documents name exists. Each exception stands in a list here, with its reason; a rule that nobody
// breaks any more loses its exception, since the tests also refuse lists that are longer than needed.
package policy
