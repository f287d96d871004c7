-- For wrk: POST /usage/reserve with a random key of the hot organization, or, with the argument "even", of the others.
wrk.headers["Authorization"] = "Bearer sk-bench"
wrk.headers["Content-Type"] = "application/json"

function init(arguments)
    math.randomseed(tonumber(tostring({}):match("0x(%x+)"), 16))
    kind, keys = "hot", 8
    if arguments[1] == "even" then
        kind, keys = "even", 1000
    end
end

function request()
    return wrk.format("POST", "/usage/reserve", nil, string.format(
        '{"key":"sk-%s-%d","model":"gpt-4o","max_cost":0.01,"max_tokens":100}', kind, math.random(0, keys - 1)))
end
