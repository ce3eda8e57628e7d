// Package quiet keeps a library from talking to the terminal before main runs.
//
// Pulumi's SDK imports bubbletea, whose init asks the terminal for its background
// colour and waits for the answer: escape sequences appear on stdout, up to five
// seconds pass on a terminal that does not answer, and what the user types
// meanwhile is lost. It does not ask when the answer is already there.
//
// This works because Go initialises packages in the order of their import paths
// as soon as their own imports are ready: "github.com/anyfaas/…" comes right
// after lipgloss itself and before "github.com/charmbracelet/bubbletea". A script
// runs the program on a terminal and sees that nothing but its answer is there.
package quiet

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) }
