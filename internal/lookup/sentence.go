package lookup

import (
	"fmt"
	"strconv"
	"strings"
)

// helpErrors explains the errors of HTTP APIs, ours first of all.
const helpErrors = "/docs/v1#errors"

// sentence says in plain words what happened and what to do next. p are the
// params as shown.
func (t *Trace) sentence(p map[string]string) (text, help string) {
	if t.exit == Matched {
		return t.matched(), ""
	}
	if strings.HasPrefix(string(t.reason), "http_") {
		help = helpErrors
	}
	var last *attempt
	if len(t.attempts) > 0 {
		last = t.attempts[len(t.attempts)-1]
	}
	switch t.exit {
	case NoMatch:
		return t.nobody(p, last), help
	case UnknownTarget:
		return t.unknown(p), help
	}
	if last != nil && last.status != 0 {
		if s := t.answered(p, last); s != "" {
			return s, help
		}
	}
	return t.unanswered(p, last), help
}

func (t *Trace) matched() string {
	c := t.candidates[t.chosen]
	s := fmt.Sprintf("The API named %s.", c.target)
	if c.state != "" {
		s = fmt.Sprintf("The API named %s, who is %s.", c.target, strings.ReplaceAll(string(c.state), "_", " "))
	}
	if t.chosen > 0 {
		s += fmt.Sprintf(" %d earlier value(s) named nobody.", t.chosen)
	}
	return s
}

func (t *Trace) nobody(p map[string]string, last *attempt) string {
	switch t.reason {
	case ReasonNoCallerNumber:
		return fmt.Sprintf("The caller's number is withheld or cannot be read, and %s needs it: nothing was asked. Add default:\"…\" if the API should be asked anyway.", p["variable"])
	case ReasonEmptyVariable:
		return fmt.Sprintf("%s is empty for this call: nothing was asked, for an empty search could find everybody. Add default:\"…\" if the API should be asked anyway.", p["variable"])
	case ReasonPathNull:
		return fmt.Sprintf("The API answered, but %s is null: nobody is named there. If a later entry should count, write [*] instead of [0].", shownPath(p["path"]))
	case ReasonEmptyList:
		return fmt.Sprintf("The API answered with an empty list on the way of %s: it knows nobody for this call. If it should, check what the url asks for.", shownPath(p["path"]))
	case ReasonEmptyBody:
		return "The API answered " + itoa(last.status) + " with nothing in it: it knows nobody for this call. If it should, check what the url asks for."
	case ReasonEmptyStatus:
		return "The API answered " + itoa(last.status) + ", which means here that it knows nobody for this call. If it means something else, take it out of response.empty_on."
	}
	return fmt.Sprintf("The API answered, but there is nothing at %s. Compare the path with the answer below.", shownPath(p["path"]))
}

func shownPath(path string) string {
	if path == "" {
		return "the whole answer"
	}
	return path
}

func (t *Trace) unknown(p map[string]string) string {
	value := "somebody" // whom the trace may not tell: company.answers
	if p["value"] != "" {
		value = strconv.Quote(clip(p["value"], 100))
	}
	switch t.reason {
	case ReasonUnknownUser:
		return fmt.Sprintf("The API named %s, but no user has this id or e-mail. Add it to a user, or check response.ids.", value)
	case ReasonUnknownTeam:
		return fmt.Sprintf("The API named %s, but no team has this id or name. Add the team, or check response.ids.", value)
	case ReasonUnknownNumber:
		return fmt.Sprintf("The API named %s, which is none of our numbers. Add it, or use the type external if it is somebody outside.", value)
	case ReasonBadNumber:
		return fmt.Sprintf("The API named %s, which is no phone number. Best is the form +14155550123.", value)
	case ReasonNotAllowed:
		return fmt.Sprintf("The API named %s, which may not be dialled. Add its beginning to a trunk's outbound.prefixes or, for the type auto, set response.allow_external; emergency and short numbers are never dialled.", value)
	}
	return fmt.Sprintf("The API gave %s where one value was wanted: a text or number, or for the type auto kind:value. Lead the path to the value itself.", value)
}

// answered is for failures with an answer.
func (t *Trace) answered(p map[string]string, last *attempt) string {
	credential := "there is no credential: choose one"
	if name := p["credential"]; name != "" {
		credential = "the API rejected the credential " + name + "; check its token"
	}
	switch t.reason {
	case ReasonHTTP401, ReasonHTTP403:
		return fmt.Sprintf("%d: %s and what it may do.", last.status, credential)
	case ReasonHTTP404:
		return "404: there is nothing at this address; check the url. If the API says 404 for \"nobody\", add 404 to response.empty_on."
	case ReasonHTTP429:
		s := "429: the API was asked too often"
		if after := p["retry_after"]; after != "" {
			s += " and wants a pause (Retry-After: " + clip(after, 40) + ")"
		}
		return s + ". Ask its operator for a higher limit, or ask it in fewer flows."
	case ReasonHTTP4xx:
		return fmt.Sprintf("%d: the API refused the request. Correct what its answer below complains of.", last.status)
	case ReasonHTTP5xx:
		return fmt.Sprintf("%d: the API has trouble of its own; try again, or ask its operator.", last.status)
	case ReasonRedirect:
		return fmt.Sprintf("%d: the API points to %q. Redirects are never followed: write the final address as the url.", last.status, clip(p["location"], 300))
	case ReasonNotJSON:
		return fmt.Sprintf("%d, but the answer is not JSON (Content-Type %q). Check that the url is the API's and not a web page's.", last.status, t.masks.clip(last.respHeader.Get("Content-Type"), 100))
	case ReasonTooLarge:
		return fmt.Sprintf("The answer is larger than %d KiB. Ask for fewer records or fields.", maxBody>>10)
	case ReasonTooDeep:
		return fmt.Sprintf("The answer is nested deeper than %d levels. Ask for fewer fields.", maxDepth)
	}
	return ""
}

// unanswered is for failures without an answer, or with half of one.
func (t *Trace) unanswered(p map[string]string, last *attempt) string {
	host := t.host
	switch t.reason {
	case ReasonDisabled:
		return "This lookup is switched off (enabled: false): nothing was asked. Set enabled: true to ask again."
	case ReasonUnsafeValue:
		return fmt.Sprintf("%s has a value in this call that cannot stand there safely: nothing was sent. Put it into a query value or the body, or add a filter such as digits.", orElse(p["variable"], "A placeholder"))
	case ReasonMissingSecret:
		return fmt.Sprintf("The credential %s has no secret, or is gone: type its secret again.", p["credential"])
	case ReasonTimeout:
		return fmt.Sprintf("No answer from %s within %s%s. Check that it is up, or raise timeout.", host, t.budget, t.where(last))
	case ReasonDNS:
		return fmt.Sprintf("The name %s was not found in the DNS. Check how it is written.", host)
	case ReasonRefused:
		return fmt.Sprintf("%s refuses connections: nothing listens there, or a firewall says no. Check host and port.", host)
	case ReasonReset:
		return fmt.Sprintf("The connection to %s broke before its answer was whole, or what came was not HTTP. Check host, port and http or https, or ask its operator.", host)
	case ReasonTLS:
		return fmt.Sprintf("No secure connection to %s: its certificate is not valid for it, or it does not speak TLS there. Check http or https, and the certificate.", host)
	case ReasonTooLarge:
		return "The answer's headers are larger than 64 KiB. Ask the API's operator what fills them."
	case ReasonBlockedAddress:
		if p["why"] == "credential" {
			return fmt.Sprintf("The credential %s may not be sent to %s: it is not among its hosts, or the way there is not encrypted. Change its hosts, or write https://.", p["credential"], p["host"])
		}
		return fmt.Sprintf("%s leads to an address that lookups may not reach (private, loopback or our own). The operator can allow it in lookup.allow.", host)
	case ReasonOverloaded:
		return fmt.Sprintf("%d requests to %s are under way already, which is the most. Ask its operator why it answers slowly, or lower timeout.", maxPerOrigin, host)
	case ReasonCancelled:
		return "The call ended during the lookup: there is nothing to do."
	}
	return "The lookup failed: " + string(t.reason) + ". Try it again by Test response."
}

// where says in which phase the time ran out.
func (t *Trace) where(last *attempt) string {
	if last == nil {
		return ""
	}
	_, dns, connect, tls, first, _ := last.timings.Read()
	switch {
	case last.status != 0:
		return " (its answer began, but did not end)"
	case first > 0 || !last.unsent:
		return " (connected, but no answer came)"
	case tls > 0 || connect > 0:
		return " (it did not accept the connection in time)"
	case dns > 0:
		return " (its name was not found in time)"
	}
	return ""
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// targetFault says what is wrong with a row of response.map.
func targetFault(reason Reason, value string) string {
	switch reason {
	case ReasonUnknownUser:
		return fmt.Sprintf("there is no user %q", value)
	case ReasonUnknownTeam:
		return fmt.Sprintf("there is no team %q", value)
	case ReasonUnknownNumber:
		return fmt.Sprintf("%q is none of our numbers", value)
	case ReasonNotAllowed:
		return fmt.Sprintf("%q may not be dialled by any trunk", value)
	}
	return fmt.Sprintf("%q is no phone number", value)
}
