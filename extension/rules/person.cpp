// Finding people, and reading how requests name them.

#include "person.hpp"

#include "base/fail.hpp"

namespace pg_org {

namespace {

constinit Statement find_user_by_email{R"(
    SELECT user_id FROM org."user" WHERE org.folded(btrim(user_email)) = org.folded(btrim($1)) FOR KEY SHARE)"};

constinit Statement find_member_by_id{
    "SELECT FROM org.membership WHERE organization_id = $1 AND user_id = $2 FOR KEY SHARE"};

constinit Statement find_member_by_email{R"(
    SELECT m.user_id
      FROM org.membership m
      JOIN org."user" u USING (user_id)
     WHERE m.organization_id = $1
       AND org.folded(btrim(u.user_email)) = org.folded(btrim($2))
       FOR KEY SHARE OF m)"};

// Ranges of code points of white space, control characters and other invisible ones.
constexpr std::array<std::pair<pg_wchar, pg_wchar>, 12> invisible{{{0, 0x20},
                                                                   {0x7f, 0xa0},
                                                                   {0xad, 0xad},
                                                                   {0x61c, 0x61c},
                                                                   {0x1680, 0x1680},
                                                                   {0x180e, 0x180e},
                                                                   {0x2000, 0x200f},
                                                                   {0x2028, 0x202f},
                                                                   {0x205f, 0x206f},
                                                                   {0x3000, 0x3000},
                                                                   {0xfeff, 0xfeff},
                                                                   {0xfff9, 0xfffb}}};

bool is_visible(pg_wchar character)
{
    return std::ranges::none_of(
        invisible, [&](const auto &range) { return range.first <= character && character <= range.second; });
}

// In encodings other than UTF-8 only ASCII characters are checked.
bool are_all_visible(Text text)
{
    const auto *at = reinterpret_cast<const unsigned char *>(text.data());
    const auto *const end = at + text.size();
    while (at < end) {
        const bool is_known = *at < 0x80 || GetDatabaseEncoding() == PG_UTF8;
        if (is_known && !is_visible(utf8_to_unicode(at)))
            return false;
        at += is_known ? pg_utf_mblen(at) : 1;
    }
    return true;
}

void require_id_or_email(const char *name, const Person &person)
{
    if (!person.user_id && !person.user_email)
        invalid(name, "is not valid: Value error, Either user id or user email must be provided");
}

Refusal no_such_member(const char *field, Text value)
{
    return refusal(ERRCODE_NO_DATA_FOUND, nullptr, "Member not found in organization for %s=%.*s", field,
                   FMT_ARG(value));
}

bool is_member(Session &session, Text organization_id, Text user_id)
{
    return !session.run(find_member_by_id, organization_id, user_id).empty();
}

} // namespace

Person read_person(const Session &session)
{
    const Person person{
        .user_id = session.argument("user_id", not_empty),
        .user_email = session.argument("user_email", not_empty),
    };
    require_id_or_email("user_id", person);
    return person;
}

Person read_person(const Value &value)
{
    const Person person{
        .user_id = optional_text(value.member("user_id")),
        .user_email = optional_text(value.member("user_email")),
    };
    require_id_or_email(value.path(), person);
    return person;
}

Maybe<Text> email_address(Maybe<Text> value, const char *name)
{
    if (!value)
        return {};
    constexpr Text blanks = " \t\n\v\f\r";
    Text email = *value;
    while (!email.empty() && blanks.find(email.front()) != Text::npos)
        email.remove_prefix(1);
    while (!email.empty() && blanks.find(email.back()) != Text::npos)
        email.remove_suffix(1);
    identifier(email, name);
    const size_t at = email.find('@');
    if (at == 0 || at == Text::npos || at + 1 == email.size() || email.find('@', at + 1) != Text::npos ||
        !are_all_visible(email))
        invalid(name, "must be an e-mail address: one @ with something on both sides of it, and neither white space "
                      "nor control characters");
    return email;
}

Maybe<Text> user_of_email(Session &session, Text user_email)
{
    const Rows users = session.run(find_user_by_email, user_email);
    return users.empty() ? Maybe<Text>{} : users[0].get<Text>(0);
}

Maybe<Text> known_member(Session &session, Text organization_id, const Person &person)
{
    if (person.user_id)
        return is_member(session, organization_id, *person.user_id) ? person.user_id : Maybe<Text>{};
    const Rows members = session.run(find_member_by_email, organization_id, *person.user_email);
    return members.empty() ? Maybe<Text>{} : members[0].get<Text>(0);
}

Text find_member(Session &session, Text organization_id, const Person &person)
{
    if (const auto member = known_member(session, organization_id, person))
        return *member;
    if (person.user_id) {
        Refusal refused = no_such_member("user_id", *person.user_id);
        if (person.user_id->find('@') != Text::npos)
            refused.hint = "Pass an e-mail address as user_email.";
        raise(refused);
    }
    raise(no_such_member("user_email", *person.user_email));
}

void require_member(Session &session, Text organization_id, Text user_id)
{
    if (!is_member(session, organization_id, user_id))
        raise(no_such_member("user_id", user_id));
}

} // namespace pg_org
