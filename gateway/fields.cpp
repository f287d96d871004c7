#include "fields.hpp"

#include "url.hpp"

#include <nlohmann/json.hpp>

namespace pg_org {
namespace {

constexpr int max_depth = 100;

// Where the text first nests too deeply, or npos.  Checked before parsing, so that code that walks the value, here or
// in the database, may recurse.
std::size_t too_deep_at(std::string_view json)
{
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const char c = json[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\';
        else if (c == ']' || c == '}')
            --depth;
        else if ((c == '[' || c == '{') && ++depth > max_depth)
            return i;
    }
    return std::string_view::npos;
}

// Replaces invalid UTF-8, which is refused elsewhere but may be shown before.
std::string json_string(const std::string &text)
{
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Writes each top-level field as JSON again while parsing: a tree of nlohmann's values would round numbers.
class FieldReader final : public nlohmann::json_sax<nlohmann::json> {
public:
    Body body;

    bool null() override { return scalar(Value::Kind::null, "null"); }
    bool boolean(bool value) override { return scalar(Value::Kind::boolean, value ? "true" : "false"); }
    bool number_integer(number_integer_t value) override { return scalar(Value::Kind::number, std::to_string(value)); }
    bool number_unsigned(number_unsigned_t value) override
    {
        return scalar(Value::Kind::number, std::to_string(value));
    }
    bool number_float(number_float_t, const string_t &digits) override { return scalar(Value::Kind::number, digits); }
    bool string(string_t &text) override
    {
        note_unstorable(text);
        return scalar(Value::Kind::string, text);
    }
    bool binary(binary_t &) override { return false; }
    bool start_object(std::size_t) override { return open(Value::Kind::object, '{'); }
    bool start_array(std::size_t) override { return open(Value::Kind::array, '['); }
    bool end_object() override { return close('}'); }
    bool end_array() override { return close(']'); }

    bool key(string_t &name) override
    {
        if (depth_ == 1) {
            field_ = &(body.fields[name] = Value{});
        } else if (field_) {
            separate();
            field_->text += json_string(name) + ':';
        }
        note_unstorable(name);
        return true;
    }

    bool parse_error(std::size_t position, const std::string &, const nlohmann::detail::exception &error) override
    {
        constexpr int out_of_range = 406;
        throw InvalidJson{position > 0 ? position - 1 : 0,
                          error.id == out_of_range ? "number out of range" : "malformed JSON"};
    }

private:
    Value *field_ = nullptr; // the top-level field being read, if the body is an object
    int depth_ = 0;

    bool scalar(Value::Kind kind, std::string text)
    {
        begin(kind, text);
        if (field_ && depth_ == 1) {
            field_->text = std::move(text);
        } else if (field_) {
            separate();
            field_->text += json_text(Value{kind, std::move(text), {}});
        }
        return true;
    }

    bool open(Value::Kind kind, char bracket)
    {
        begin(kind, {});
        if (field_) {
            separate();
            field_->text += bracket;
        }
        ++depth_;
        return true;
    }

    bool close(char bracket)
    {
        --depth_;
        if (field_ && depth_ > 0)
            field_->text += bracket;
        return true;
    }

    void begin(Value::Kind kind, const std::string &text)
    {
        if (depth_ == 0)
            body.kind = kind;
        else if (field_ && depth_ == 1)
            field_->kind = kind;
        else if (field_ && depth_ == 2 && field_->kind == Value::Kind::array)
            field_->elements.push_back(Value{kind, text, {}});
    }

    void separate()
    {
        if (!field_->text.empty() && std::string_view{"[{:"}.find(field_->text.back()) == std::string_view::npos)
            field_->text += ',';
    }

    void note_unstorable(const std::string &text)
    {
        if (field_ && text.find('\0') != std::string::npos)
            field_->storable = false;
    }
};

} // namespace

Body read_body(std::string_view json)
{
    if (const auto position = too_deep_at(json); position != std::string_view::npos)
        throw InvalidJson{position, "nested too deep"};
    if (const auto position = json.find('\0'); position != std::string_view::npos)
        throw InvalidJson{position, "malformed JSON"}; // where nlohmann's parser would stop, successfully
    FieldReader reader;
    nlohmann::json::sax_parse(json, &reader);
    return std::move(reader.body);
}

Fields read_query(std::string_view query)
{
    Fields fields;
    for (auto &[name, text] : parse_query(query)) {
        const bool storable = is_storable(name) && is_storable(text);
        fields[name] = Value{Value::Kind::string, std::move(text), {}, storable};
    }
    return fields;
}

std::string json_text(const Value &value)
{
    return value.kind == Value::Kind::string ? json_string(value.text) : value.text;
}

std::string json_text(const Fields &fields)
{
    std::string text = "{";
    for (const auto &[name, value] : fields)
        text += (text.size() > 1 ? "," : "") + json_string(name) + ':' + json_text(value);
    return text + '}';
}

bool is_storable(std::string_view text)
{
    if (text.find('\0') != std::string_view::npos)
        return false;
    try {
        nlohmann::json(text).dump();
        return true;
    } catch (const nlohmann::json::type_error &) {
        return false;
    }
}

} // namespace pg_org
