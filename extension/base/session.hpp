// One call of one function: who is calling, with what arguments, SQL as the
// owner of the tables, and the reply.  Statements are the SQL that rules run.
//
// A function that SQL can call is PG_ORG_READ(name) { rule }, PG_ORG_WRITE(name) { rule } or PG_ORG_CALL(name) { rule },
// where the rule has `session`. The last argument is always api_key; before it a write has idempotency_key and
// request_id. A call writes too, but has neither: it tells repetitions apart by arguments of its own.
#pragma once

#include "caller.hpp"
#include "json.hpp"
#include "owner.hpp"
#include "types.hpp"

namespace pg_org {

// When a statement is planned: once for all values of its parameters, or for those of each call, which pays for
// itself where some of them may be null and then mean no condition at all.
enum class Planned { once, each_time };

// The SQL of a rule, prepared once in a session of the server.  Always a static constinit variable; parameters get
// their types from what it is first run with, columns are read with Row::get.
class Statement {
public:
    consteval explicit Statement(const char *sql, Planned planned = Planned::once) : sql_(sql), planned_(planned) {}
    SPIPlanPtr plan(std::span<const Oid> types);

private:
    const char *sql_;
    Planned planned_;
    SPIPlanPtr plan_ = nullptr;
};

// C++ types as SQL parameters and columns.
template <typename T> struct Sql;
template <> struct Sql<Text> {
    static constexpr Oid type = TEXTOID;
    static Datum to_datum(Text value)
    {
        return PointerGetDatum(cstring_to_text_with_len(value.data(), static_cast<int>(value.size())));
    }
    static Text from_datum(Datum datum) { return to_text(datum); }
};
template <> struct Sql<Texts> {
    static constexpr Oid type = TEXTARRAYOID;
    static Datum to_datum(Texts value) { return to_array(value); }
    static Texts from_datum(Datum datum) { return to_texts(datum); }
};
// Lists of values of fixed or of varying length, as parameters only.
template <typename T> struct Sql<std::span<const T>> {
    static constexpr Oid type = Sql<T>::array_type;
    static constexpr bool by_value = Sql<T>::length > 0 && Sql<T>::length <= 8 && Sql<T>::type != TIDOID;
    static Datum to_datum(std::span<const T> values)
    {
        const auto elements = allocate<Datum>(values.size());
        std::ranges::transform(values, elements.begin(), Sql<T>::to_datum);
        return PointerGetDatum(construct_array(elements.data(), static_cast<int>(values.size()), Sql<T>::type,
                                               Sql<T>::length, by_value, Sql<T>::alignment));
    }
};
template <> struct Sql<bool> {
    static constexpr Oid type = BOOLOID, array_type = BOOLARRAYOID;
    static constexpr int length = 1;
    static constexpr char alignment = TYPALIGN_CHAR;
    static Datum to_datum(bool value) { return BoolGetDatum(value); }
    static bool from_datum(Datum datum) { return DatumGetBool(datum); }
};
template <> struct Sql<int64> {
    static constexpr Oid type = INT8OID, array_type = INT8ARRAYOID;
    static constexpr int length = 8;
    static constexpr char alignment = TYPALIGN_DOUBLE;
    static Datum to_datum(int64 value) { return Int64GetDatum(value); }
    static int64 from_datum(Datum datum) { return DatumGetInt64(datum); }
};
template <> struct Sql<Number> {
    static constexpr Oid type = NUMERICOID, array_type = NUMERICARRAYOID;
    static constexpr int length = -1;
    static constexpr char alignment = TYPALIGN_INT;
    static Datum to_datum(Number value) { return value.datum; }
    static Number from_datum(Datum datum) { return {datum}; }
};
template <> struct Sql<Time> {
    static constexpr Oid type = TIMESTAMPTZOID, array_type = TIMESTAMPTZARRAYOID;
    static constexpr int length = 8;
    static constexpr char alignment = TYPALIGN_DOUBLE;
    static Datum to_datum(Time value) { return TimestampTzGetDatum(value.value); }
    static Time from_datum(Datum datum) { return {DatumGetTimestampTz(datum)}; }
};
template <> struct Sql<Tid> {
    static constexpr Oid type = TIDOID, array_type = TIDARRAYOID;
    static constexpr int length = sizeof(ItemPointerData);
    static constexpr char alignment = TYPALIGN_SHORT;
    static Datum to_datum(Tid value) { return value.datum; }
    static Tid from_datum(Datum datum) { return {datum}; }
};
template <> struct Sql<Json> {
    static constexpr Oid type = JSONBOID;
    static Datum to_datum(Json value) { return value.datum; }
    static Json from_datum(Datum datum) { return {datum}; }
};

// A row of a result, valid until the call ends.
class Row {
public:
    Row() = default;
    Row(HeapTuple tuple, TupleDesc description)
        : description_(description), values_(allocate<Datum>(description->natts)),
          nulls_(allocate<bool>(description->natts))
    {
        heap_deform_tuple(tuple, description, values_.data(), nulls_.data());
    }

    TupleDesc description() const { return description_; }
    int columns() const { return description_ == nullptr ? 0 : description_->natts; }
    bool is_null(int column) const { return nulls_[column]; }
    Datum datum(int column) const { return values_[column]; }

    // The value of a column, counted from 0, whose type must be T's: the owner of the tables may have made it another.
    template <typename T> Maybe<T> get(int column) const
    {
        require_type(column, Sql<T>::type);
        return is_null(column) ? Maybe<T>{} : Maybe<T>{Sql<T>::from_datum(datum(column))};
    }

private:
    void require_type(int column, Oid type) const
    {
        if (column >= columns() || TupleDescAttr(description_, column)->atttypid != type)
            refuse_column(column, type);
    }
    [[noreturn]] void refuse_column(int column, Oid type) const;

    TupleDesc description_ = nullptr;
    std::span<Datum> values_;
    std::span<bool> nulls_;
};

// The rows of a result.
class Rows {
public:
    Rows(SPITupleTable *table, size_t size) : table_(table), size_(size) {}

    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    // There may be fewer than the rules make sure of: triggers of the owner of the tables can take rows away.
    Row operator[](size_t i) const
    {
        CHECK_FOR_INTERRUPTS(); // whoever goes through many rows can be stopped
        if (table_ == nullptr || i >= table_->numvals)
            refuse_row();
        return {table_->vals[i], table_->tupdesc};
    }

    struct Iterator {
        const Rows *rows;
        size_t at;
        Row operator*() const { return (*rows)[at]; }
        Iterator &operator++()
        {
            at++;
            return *this;
        }
        bool operator!=(const Iterator &other) const { return at != other.at; }
    };
    Iterator begin() const { return {this, 0}; }
    Iterator end() const { return {this, size_}; }

    // The values of the first column.
    Texts texts() const;
    // All rows in the order of a key of theirs: cheaper than a sort in the statement, which costs more to
    // set up than a few rows cost to sort.
    template <typename Key> std::span<const Row> sorted_by(Key key) const
    {
        const auto rows = all();
        std::ranges::sort(rows, {}, key);
        return rows;
    }
    // All rows, read once.
    std::span<Row> all() const
    {
        const auto rows = allocate<Row>(size_);
        for (size_t i = 0; i < size_; i++)
            rows[i] = (*this)[i];
        return rows;
    }

private:
    [[noreturn]] static void refuse_row();

    SPITupleTable *table_;
    size_t size_;
};

// Whether a call may change anything, which must agree with the function's volatility, and what its last arguments are.
// A warm-up has none, and is about nobody: whoever may call the function may.
enum class Access { read, write, call, warm_up };

class Session {
public:
    // Establishes who is calling, acts as the tables' owner from here on.
    Session(FunctionCallInfo fcinfo, Access access, const char *function);
    // Whether the reply is there already: the request was carried out before.
    bool is_repeated() const { return repeated_; }
    // Ends the call and gives what was written to reply.
    Datum finish();

    // The next argument, in the order of the signature.
    template <typename T> Maybe<T> next()
    {
        return argument<T>(next_argument_++, Sql<T>::type);
    }
    // A json (not jsonb) argument.
    Maybe<Json> next_json();

    // Runs a statement; parameters are Text, Texts, bool, int64, Number, Time, Json or a Maybe of one.
    template <typename... Values> Rows run(Statement &statement, const Values &...values)
    {
        const std::array<Oid, sizeof...(Values)> types{Parameter<Values>::type...};
        std::array<Datum, sizeof...(Values) + 1> datums{Parameter<Values>::to_datum(values)...};
        std::array<char, sizeof...(Values) + 1> nulls{Parameter<Values>::null_mark(values)...};
        return execute(statement.plan(types), datums.data(), nulls.data());
    }

    // For the rest of the call statements are planned to look rows up one by one: a plan is kept, and one made while a
    // table was small would read all of it when it has grown.
    void plan_for_look_ups();
    // Rights are those of the moment a change is made: to be called when locks are had that were perhaps waited for,
    // before anything is changed. Who may do something else by now is asked to try again, who may nothing is refused.
    void look_up_caller_again();
    // From here on, changes of what has no organization of its own are audited as this one's.
    void audit_as(Text organization_id);
    // When the call makes what it makes: one time for all of it, after the locks that it waits for. The transaction's
    // start is too early: until the locks were got, calls may have been charged to a predecessor of the same name.
    Time made_at();
    // A new secret for a key: random; with an idempotency key computed from that and the caller's own key, so that it
    // need not be stored to be given again.
    Text new_secret();
    // Writes the secret as a value of the reply.
    void write_secret(Text secret);

    Caller caller;
    Writer reply;

private:
    template <typename T> struct Parameter {
        static constexpr Oid type = Sql<T>::type;
        static Datum to_datum(const T &value) { return Sql<T>::to_datum(value); }
        static char null_mark(const T &) { return ' '; }
    };
    template <typename T> struct Parameter<Maybe<T>> {
        static constexpr Oid type = Sql<T>::type;
        static Datum to_datum(const Maybe<T> &value) { return value ? Sql<T>::to_datum(*value) : Datum{}; }
        static char null_mark(const Maybe<T> &value) { return value ? ' ' : 'n'; }
    };

    Rows execute(SPIPlanPtr plan, Datum *values, const char *nulls);
    // The argument at a position, which must be declared as of the type: a library of another version than the
    // extension has other arguments.
    template <typename T> Maybe<T> argument(int position, Oid type) const
    {
        const auto at = static_cast<size_t>(position);
        if (position < 0 || at >= argument_types_.size() || argument_types_[at] != type)
            refuse_argument(position, type);
        return PG_ARGISNULL(position) ? Maybe<T>{} : Maybe<T>{Sql<T>::from_datum(fcinfo->args[position].value)};
    }
    [[noreturn]] void refuse_argument(int position, Oid type) const;
    void describe_call(Maybe<Text> organization_id);
    void look_for_repetition();
    void remember_reply();
    Text request_hash() const;
    Text derived_secret() const;

    FunctionCallInfo fcinfo; // named as the PG_ARG macros want it
    const char *function_;
    bool read_only_;
    std::span<const Oid> argument_types_; // as the function is declared
    int next_argument_ = 0;
    Maybe<Text> api_key_, idempotency_key_, request_id_;
    Text idempotency_caller_, salt_;
    Maybe<int64> secret_at_;
    Maybe<Time> made_at_;
    bool repeated_ = false;
    Acting acting_{};
};

static_assert(std::is_trivially_destructible_v<Session> && std::is_trivially_destructible_v<Rows>);

template <typename Rule> Datum call(FunctionCallInfo fcinfo, Access access, const char *function, Rule rule)
{
    Session session{fcinfo, access, function};
    if (!session.is_repeated())
        rule(session);
    return session.finish();
}

#define PG_ORG_RULE(name, access)                                                                                      \
    static void name##_rule(pg_org::Session &session);                                                                 \
    PG_ORG_FUNCTION(name) { return pg_org::call(fcinfo, access, #name, name##_rule); }                                 \
    static void name##_rule(pg_org::Session &session)
#define PG_ORG_READ(name) PG_ORG_RULE(name, pg_org::Access::read)
#define PG_ORG_WRITE(name) PG_ORG_RULE(name, pg_org::Access::write)
#define PG_ORG_CALL(name) PG_ORG_RULE(name, pg_org::Access::call)

// What is required, or an error naming the argument.
template <typename T> T required(Maybe<T> value, const char *name);
// What is not empty: an empty string in a form means that nothing was chosen.
inline Maybe<Text> not_empty(Maybe<Text> text) { return text && !text->empty() ? text : Maybe<Text>{}; }
// Likewise of a JSON string or null.
inline Maybe<Text> optional_text(const Value &value)
{
    return value.is_null() ? Maybe<Text>{} : not_empty(value.as_text());
}
// An identifier people choose: required, not empty, at most 255 bytes.
Text identifier(Maybe<Text> value, const char *name);
// The same, but may be left out: then a new UUID.
Text identifier_or_new(Maybe<Text> value, const char *name);
// In an UPDATE: the column becomes what the parameter says, stays for null, or is cleared if the list names it.
#define CHANGED(column, parameter, clear)                                                                              \
    column " = CASE WHEN '" column "' = ANY (" clear ") THEN NULL ELSE coalesce(" parameter ", " column ") END"
// Likewise budget_duration with budget_reset_at; the same duration again leaves the period as it is.
#define CHANGED_DURATION(duration, reset_at, clear)                                                                    \
    CHANGED("budget_duration", duration, clear)                                                                        \
    ", budget_reset_at = CASE WHEN 'budget_duration' = ANY (" clear ") THEN NULL"                                      \
    " WHEN " duration " <> coalesce(budget_duration, '') THEN " reset_at " ELSE budget_reset_at END"
// The fields that an argument `clear` names, all of them among those that can be cleared.
Texts fields_to_clear(Maybe<Texts> clear, Texts clearable);

// A list of strings without nulls.
Maybe<Texts> text_list(Maybe<Texts> value, const char *name);

} // namespace pg_org
