// Package outbound is the one HTTP client through which this program reaches
// other systems. It is guarded: an address is checked at the moment of dialling,
// on the resolved IP; no proxy is taken from the environment, no redirect is
// followed, headers and time are bounded, and every request says where its time
// went.
//
// It does not read bodies, retry or authenticate; internal/lookup does. Client
// owns its connections and the goroutines that serve requests to ourselves;
// Close waits for them.
package outbound
