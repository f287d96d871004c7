// Fuzz target: a request's body, from its text to bound values or a refusal.
#include "property.hpp"

using namespace pg_org;

namespace {

void check_fields(std::string_view json, const Fields &fields)
{
    for (const auto &[name, value] : fields)
        require(is_json(json_text(value)), "a field's value is JSON");
    const std::string again = json_text(fields);
    require(nlohmann::json::parse(again) == nlohmann::json::parse(json), "the fields are what was sent");
    require(json_text(read_body(again).fields) == again, "what was written is read as the same");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view json{reinterpret_cast<const char *>(data), size};
    Body body;
    try {
        body = read_body(json);
    } catch (const InvalidJson &error) {
        require(error.position <= size, "the error is in the text");
        return 0;
    }
    require(is_json(json), "what is read is JSON");
    if (body.kind != Value::Kind::object) {
        require(body.fields.empty(), "only an object has fields");
        return 0;
    }
    check_fields(json, body.fields);
    check_binding(body.fields, "body", {"id", "POST", "/organization/new", json, {}});
    return 0;
}
