-- For wrk, with the number of organizations as its argument: GET /organization/info of a random one.
wrk.headers["Authorization"] = "Bearer sk-bench"

function init(arguments)
    math.randomseed(tonumber(tostring({}):match("0x(%x+)"), 16))
    organizations = tonumber(arguments[1])
end

function request()
    return wrk.format("GET", "/organization/info?organization_id=" .. math.random(1, organizations))
end
