// Measuring requests against the bounds.

#include "bounds.hpp"

#include "fail.hpp"
#include "number.hpp"

namespace pg_org {

namespace {

constexpr size_t max_digits = 100;

// A short number may have thousands of digits: 1e-16383.
size_t digits_of(Numeric number)
{
    char *written = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
    const Text text = to_text(written);
    const auto digits = static_cast<size_t>(std::ranges::count_if(text, [](char c) { return c >= '0' && c <= '9'; }));
    pfree(written);
    return digits;
}

bool has_long_number(Jsonb *json)
{
    JsonbIterator *iterator = JsonbIteratorInit(&json->root);
    JsonbValue item;
    for (JsonbIteratorToken token; (token = JsonbIteratorNext(&iterator, &item, false)) != WJB_DONE;) {
        CHECK_FOR_INTERRUPTS();
        const bool is_value = token == WJB_VALUE || token == WJB_ELEM;
        if (is_value && item.type == jbvNumeric && digits_of(item.val.numeric) > max_digits)
            return true;
    }
    return false;
}

size_t written_length(Text text)
{
    constexpr Text with_short_escape = "\"\\\b\f\n\r\t";
    constexpr size_t quotes = 2, short_escape = 2, long_escape = 6;
    size_t length = quotes;
    for (const char c : text)
        length += with_short_escape.find(c) != Text::npos ? short_escape
                  : static_cast<unsigned char>(c) < ' '   ? long_escape
                                                          : 1;
    return length;
}

size_t written_length(const JsonbValue &scalar)
{
    switch (scalar.type) {
    case jbvString: return written_length({scalar.val.string.val, static_cast<size_t>(scalar.val.string.len)});
    case jbvNumeric:
        return strlen(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(scalar.val.numeric))));
    case jbvBool: return scalar.val.boolean ? 4 : 5;
    default: return 4;
    }
}

// Whether the JSON, written out as in replies, is longer than max_bytes.
bool is_longer(Jsonb *json, size_t max_bytes)
{
    const auto around = [](int elements) { return 2 + 2 * static_cast<size_t>(elements > 0 ? elements - 1 : 0); };
    JsonbIterator *iterator = JsonbIteratorInit(&json->root);
    JsonbValue item;
    size_t length = 0;
    for (JsonbIteratorToken token; (token = JsonbIteratorNext(&iterator, &item, false)) != WJB_DONE;) {
        CHECK_FOR_INTERRUPTS();
        if (token == WJB_BEGIN_ARRAY)
            length += around(item.val.array.nElems);
        else if (token == WJB_BEGIN_OBJECT)
            length += around(item.val.object.nPairs);
        else if (token == WJB_KEY)
            length += written_length(item) + 2;
        else if (token == WJB_VALUE || token == WJB_ELEM)
            length += written_length(item);
        if (length > max_bytes)
            return true;
    }
    return false;
}

[[noreturn]] void too_long(const char *name, size_t max_bytes)
{
    invalid(name, "must be at most %zu KiB", max_bytes / 1024);
}

Maybe<Json> bounded_object(Maybe<Json> value, const char *name, size_t max_bytes)
{
    if (!value)
        return {};
    if (!is_object(*value))
        invalid(name, "must be an object");
    if (is_longer(value->get(), max_bytes))
        too_long(name, max_bytes);
    return value;
}

[[noreturn]] void too_many(const char *name) { invalid(name, "must be a list of at most %zu", max_listed); }

} // namespace

void require_bounded_arguments(const Arguments &arguments)
{
    for (size_t i = 0; i < arguments.size(); i++) {
        const auto value = arguments.datum(i);
        if (!value)
            continue;
        const char *name = arguments.name(i);
        switch (arguments.type(i)) {
        case TEXTOID:
            if (toast_raw_datum_size(*value) > max_text_bytes + VARHDRSZ)
                too_long(name, max_text_bytes);
            break;
        case TEXTARRAYOID: {
            const ArrayType *list = DatumGetArrayTypeP(*value);
            if (static_cast<size_t>(ArrayGetNItems(ARR_NDIM(list), ARR_DIMS(list))) > max_listed)
                too_many(name);
            break;
        }
        case JSONBOID:
            if (has_long_number(DatumGetJsonbP(*value)))
                invalid(name, "must not have numbers of more than %zu digits", max_digits);
            break;
        default: break;
        }
    }
}

const char *broken_money_rule(Number amount)
{
    const Numeric numeric = DatumGetNumeric(amount.datum);
    if (numeric_is_nan(numeric) || numeric_is_inf(numeric))
        return "must be a finite number";
    if (amount < zero())
        return "must be zero or more";
    if (amount > number(max_money))
        return psprintf("must be at most " INT64_FORMAT, max_money);
    if (DatumGetInt32(DirectFunctionCall1(numeric_scale, amount.datum)) > max_decimals)
        return psprintf("must have at most %d digits after the point", max_decimals);
    return nullptr;
}

bool resets_spend(Maybe<Number> spend, const char *name)
{
    if (const char *wrong = spend ? broken_money_rule(*spend) : nullptr)
        invalid(name, "%s", wrong);
    if (spend && *spend > zero())
        invalid(name, "must be 0, which lets the budgets start again");
    return spend.has_value();
}

Maybe<Json> object(Maybe<Json> value, const char *name) { return bounded_object(value, name, max_text_bytes); }

Maybe<Json> object_of_objects(Maybe<Json> value, const char *name)
{
    return bounded_object(value, name, max_object_of_objects_bytes);
}

Text bounded_text(Text text, const char *name)
{
    if (text.size() > max_text_bytes)
        too_long(name, max_text_bytes);
    return text;
}

Texts bounded_list(Texts list, const char *name)
{
    if (list.size() > max_listed)
        too_many(name);
    return list;
}

std::span<const Value> bounded_elements(const Value &list)
{
    const auto elements = list.elements();
    if (elements.size() > max_listed)
        too_many(list.path());
    return elements;
}

bool are_bounded_tags(Texts tags)
{
    size_t length = 0;
    for (const Text tag : tags)
        length += tag.size();
    return tags.size() <= max_listed && length <= max_text_bytes;
}

Maybe<Texts> tag_list(Maybe<Texts> tags, const char *name)
{
    if (text_list(tags, name) && !are_bounded_tags(*tags))
        invalid(name, "%s", tags_rule);
    return tags;
}

Maybe<Text> part_of_name(Maybe<Text> part, const char *name)
{
    if (part && part->size() > max_name_bytes)
        invalid(name, "must be at most %zu bytes long", max_name_bytes);
    return part;
}

Texts each_once(Texts values)
{
    const auto sorted = allocate<Text>(values.size());
    std::ranges::copy(values, sorted.begin());
    std::ranges::sort(sorted);
    const auto is_seen = allocate<bool>(values.size());
    const auto once = allocate<Text>(values.size());
    size_t count = 0;
    for (const Text value : values)
        if (!std::exchange(is_seen[static_cast<size_t>(std::ranges::lower_bound(sorted, value) - sorted.begin())],
                           true))
            once[count++] = value;
    return once.first(count);
}

} // namespace pg_org
