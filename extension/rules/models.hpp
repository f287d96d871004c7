// Lists of models: which of them a list allows, as LiteLLM means it.
#pragma once

#include "base/types.hpp"

namespace pg_org {

// The list of models, or the object of other names of models, or an error naming the field.
Maybe<Texts> model_list(Maybe<Texts> models, const char *name);
Maybe<Json> model_aliases(Maybe<Json> aliases, const char *name);
// Whether a list names every model there is.
bool allows_all(Texts list);
// Whether a list allows a model: by name, by a wildcard such as openai/*, or because it allows all. The model may be
// a wildcard itself; then all that it stands for must be allowed. An empty list allows nothing here.
bool allows(Texts list, Text model);
// Whether a name is that of one model, which can be called.
bool is_model(Text name);
// The first of the models that the list does not allow; an empty list allows all.
Maybe<Text> first_not_allowed(Texts list, Texts models);
// ['a', 'b']; of a long one the first, and how many more.
const char *show_list(Texts list);

} // namespace pg_org
