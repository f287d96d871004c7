// Reading JSON, and merging it.

#include "json.hpp"

#include "fail.hpp"
#include "number.hpp"

namespace pg_org {

namespace {

JsonbValue *find_member(const JsonbValue &object, const char *name)
{
    return getKeyJsonValueFromContainer(object.val.binary.data, name, static_cast<int>(strlen(name)), nullptr);
}

bool is_container(const JsonbValue &value, uint32 flag)
{
    return value.type == jbvBinary && (value.val.binary.data->header & flag) != 0;
}

Text string_of(const JsonbValue &value) { return {value.val.string.val, static_cast<size_t>(value.val.string.len)}; }

std::span<const Member> members_in(JsonbContainer *object, const char *path)
{
    const auto all = allocate<Member>(JsonContainerSize(object));
    JsonbIterator *iterator = JsonbIteratorInit(object);
    JsonbValue item;
    size_t count = 0;
    for (JsonbIteratorToken token; (token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE;) {
        CHECK_FOR_INTERRUPTS();
        if (token == WJB_KEY)
            all[count].key = string_of(item);
        else if (token == WJB_VALUE) {
            const char *key = c_string(all[count].key);
            all[count++].value = {item, path == nullptr ? key : psprintf("%s.%s", path, key)};
        }
    }
    return all;
}

// Whether the text is a finite number as JSON or PostgreSQL write it.
bool is_number(Text text)
{
    constexpr size_t longest = 1000;
    const char *at = text.data();
    const char *const end = at + text.size();
    const auto skip = [&](Text any_of) {
        if (at != end && any_of.find(*at) != Text::npos)
            at++;
    };
    const auto digits = [&] {
        const char *const start = at;
        while (at != end && *at >= '0' && *at <= '9')
            at++;
        return at - start;
    };
    skip("+-");
    auto mantissa = digits();
    if (at != end && *at == '.') {
        at++;
        mantissa += digits();
    }
    if (mantissa == 0 || text.size() > longest)
        return false;
    if (at != end && (*at == 'e' || *at == 'E')) {
        at++;
        skip("+-");
        constexpr int max_digits = 4; // PostgreSQL's numeric goes no further than 1e131071
        const auto exponent = digits();
        if (exponent == 0 || exponent > max_digits)
            return false;
    }
    return at == end;
}

} // namespace

Value to_value(Json json, const char *name)
{
    Jsonb *value = json.get();
    JsonbValue whole{.type = jbvBinary};
    whole.val.binary.data = &value->root;
    whole.val.binary.len = static_cast<int>(VARSIZE(value) - VARHDRSZ);
    if (JB_ROOT_IS_SCALAR(value))
        JsonbExtractScalar(&value->root, &whole);
    return {whole, name};
}

bool Value::is_object() const { return is_container(value_, JB_FOBJECT); }

Maybe<Text> Value::text() const { return value_.type == jbvString ? Maybe<Text>{string_of(value_)} : Maybe<Text>{}; }

Maybe<bool> Value::boolean() const { return value_.type == jbvBool ? Maybe<bool>{value_.val.boolean} : Maybe<bool>{}; }

Maybe<Number> Value::number() const
{
    if (value_.type == jbvNumeric)
        return Number{NumericGetDatum(value_.val.numeric)};
    if (value_.type != jbvString || !is_number(string_of(value_)))
        return {};
    return Number{DirectFunctionCall3(numeric_in, CStringGetDatum(c_string(string_of(value_))),
                                      ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))};
}

Maybe<int64> Value::integer() const
{
    const auto value = number();
    if (!value)
        return {};
    // Comparing numbers avoids writing out digits, of which there may be many.
    const bool is_whole = DatumGetInt32(DirectFunctionCall1(numeric_min_scale, value->datum)) == 0;
    if (!is_whole || *value < pg_org::number(PG_INT64_MIN) || *value > pg_org::number(PG_INT64_MAX))
        return {};
    return DatumGetInt64(DirectFunctionCall1(numeric_int8, value->datum));
}

Maybe<Texts> Value::texts() const
{
    if (!is_container(value_, JB_FARRAY))
        return {};
    const auto values = elements();
    const auto texts = allocate<Text>(values.size());
    for (size_t i = 0; i < values.size(); i++) {
        if (values[i].raw().type != jbvString)
            return {};
        texts[i] = string_of(values[i].raw());
    }
    return Texts{texts};
}

namespace {

template <typename T> T expected(const Value &value)
{
    const auto read = (value.*Field<T>::get)();
    if (!read)
        invalid(value.path(), "%s", Field<T>::rule);
    return *read;
}

} // namespace

Text Value::as_text() const { return expected<Text>(*this); }

bool Value::as_bool() const { return expected<bool>(*this); }

Number Value::as_number() const { return expected<Number>(*this); }

int64 Value::as_integer() const
{
    as_number();
    return expected<int64>(*this);
}

Texts Value::as_texts() const
{
    const auto values = elements();
    const auto texts = allocate<Text>(values.size());
    for (size_t i = 0; i < values.size(); i++)
        texts[i] = values[i].as_text();
    return texts;
}

Json Value::as_object() const
{
    if (!is_object())
        invalid(path(), "must be an object");
    return {PointerGetDatum(JsonbValueToJsonb(const_cast<JsonbValue *>(&value_)))};
}

std::span<const Value> Value::elements() const
{
    if (!is_container(value_, JB_FARRAY))
        invalid(path(), "must be a list");
    JsonbContainer *array = value_.val.binary.data;
    const uint32 count = JsonContainerSize(array);
    const auto values = allocate<Value>(count);
    const char *const list = path();
    for (uint32 i = 0; i < count; i++) {
        CHECK_FOR_INTERRUPTS();
        values[i] = {*getIthJsonbValueFromContainer(array, i), psprintf("%s.%u", list, i)};
    }
    return values;
}

Value Value::member(const char *name) const
{
    const JsonbValue *found = is_object() ? find_member(value_, name) : nullptr;
    return {found == nullptr ? JsonbValue{.type = jbvNull} : *found, path(), name};
}

std::span<const Member> members(Json object, const char *path) { return members_in(&object.get()->root, path); }

bool is_object(Json json) { return JB_ROOT_IS_OBJECT(json.get()); }

Json empty_array() { return {DirectFunctionCall1(jsonb_in, CStringGetDatum("[]"))}; }
Json empty_object() { return {DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"))}; }

// Merging -------------------------------------------------------------------

namespace {

JsonbValue *push_object(JsonbParseState **state, const JsonbValue *target, const JsonbValue &patch);

void push_key(JsonbParseState **state, Text key)
{
    JsonbValue name{.type = jbvString};
    name.val.string.val = const_cast<char *>(key.data());
    name.val.string.len = static_cast<int>(key.size());
    pushJsonbValue(state, WJB_KEY, &name);
}

// Pushes the patch's value, merged into the target's if both are objects.
void push_merged(JsonbParseState **state, const JsonbValue *target, JsonbValue patch)
{
    if (is_container(patch, JB_FOBJECT))
        push_object(state, target, patch);
    else
        pushJsonbValue(state, WJB_VALUE, &patch);
}

JsonbValue *push_object(JsonbParseState **state, const JsonbValue *target, const JsonbValue &patch)
{
    check_stack_depth();
    pushJsonbValue(state, WJB_BEGIN_OBJECT, nullptr);
    const bool target_is_object = target != nullptr && is_container(*target, JB_FOBJECT);
    if (target_is_object)
        for (const auto &[key, value] : members_in(target->val.binary.data, nullptr)) {
            CHECK_FOR_INTERRUPTS();
            if (find_member(patch, value.path()) == nullptr) {
                push_key(state, key);
                pushJsonbValue(state, WJB_VALUE, const_cast<JsonbValue *>(&value.raw()));
            }
        }
    for (const auto &[key, value] : members_in(patch.val.binary.data, nullptr)) {
        CHECK_FOR_INTERRUPTS();
        if (!value.is_null()) {
            push_key(state, key);
            push_merged(state, target_is_object ? find_member(*target, value.path()) : nullptr, value.raw());
        }
    }
    return pushJsonbValue(state, WJB_END_OBJECT, nullptr);
}

} // namespace

Json merge_patch(Json target, Json patch)
{
    JsonbParseState *state = nullptr;
    const JsonbValue *merged = push_object(&state, &to_value(target, "").raw(), to_value(patch, "").raw());
    return {PointerGetDatum(JsonbValueToJsonb(const_cast<JsonbValue *>(merged)))};
}

} // namespace pg_org
