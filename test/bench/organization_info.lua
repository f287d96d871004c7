-- For wrk: GET /organization/info of a random organization.
wrk.headers["Authorization"] = "Bearer sk-bench"

function init()
    math.randomseed(tonumber(tostring({}):match("0x(%x+)"), 16))
end

function request()
    return wrk.format("GET", "/organization/info?organization_id=" .. math.random(1, 10000))
end
