-- Gives the client the header fields of a request that amp-cors-cgi has
-- allowed as lighttpd's authorizer: lighttpd itself passes on nothing of the
-- front's answer but its variables.  Copy this to /etc/lighttpd/amp-cors.lua;
-- see lighttpd-authorizer.conf.

-- As the policy has them: "credentials = yes" is true here, and the names of
-- "expose_headers" come between the quotes.
local credentials = false
local expose = ""

local env = lighty.r.req_env
local head = lighty.r.resp_header
local version, sender = env["AMP_CORS_VERSION"], env["AMP_CORS_SENDER"]
local origin = env["AMP_CORS_ORIGIN"]

-- A refusal or a preflight has its fields, and so does "mode = report".
if not version or not sender then
	return 0
end

-- Adds the names that are not yet in a list of names.
local function joined(list, names)
	local seen = {}
	for name in list:gmatch("[^,%s]+") do
		seen[name:lower()] = true
	end
	for name in names:gmatch("[^,%s]+") do
		if not seen[name:lower()] then
			seen[name:lower()] = true
			list = list .. (list == "" and "" or ", ") .. name
		end
	end
	return list
end

local function is_ours(name)
	name = name:lower()
	return name:find("^access%-control%-") or
	    name == "amp-email-allow-sender" or
	    name == "amp-access-control-allow-source-origin" or
	    name == "amp-redirect-to"
end

-- What the handler says of this itself would be there too.
local theirs = {}
for name in pairs(head) do
	if is_ours(name) then
		theirs[#theirs + 1] = name
	end
end
for _, name in ipairs(theirs) do
	head[name] = nil
end

if version == "2" then
	head["AMP-Email-Allow-Sender"] = sender
else
	head["AMP-Access-Control-Allow-Source-Origin"] = sender
	expose = joined("AMP-Access-Control-Allow-Source-Origin", expose)
end
if origin then
	head["Access-Control-Allow-Origin"] = origin
	if expose ~= "" then
		head["Access-Control-Expose-Headers"] = expose
	end
	if credentials then
		head["Access-Control-Allow-Credentials"] = "true"
	end
end
if head["Vary"] ~= "*" then
	head["Vary"] = joined(head["Vary"] or "", "Origin, AMP-Email-Sender")
end
return 0
