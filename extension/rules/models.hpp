// Lists of models: which models a list allows, by LiteLLM's rules.
#pragma once

#include "base/pattern.hpp"

namespace pg_org {

// A list of models, or an object of aliases of models, or an error naming the field.
Maybe<Texts> model_list(Maybe<Texts> models, const char *name);
Maybe<Json> model_aliases(Maybe<Json> aliases, const char *name);
// Whether a list names every model there is.
bool allows_all(Texts list);
// Whether a list allows a model: by name, by a wildcard such as openai/*, or because it allows all. If the model is a
// wildcard itself, all models that match it must be allowed. An empty list allows nothing here.
bool allows(Texts list, Text model);
// Whether it is the name of a single model, which can be called.
bool is_model(Text name);
// The first of the models that the list does not allow; an empty list allows all.
Maybe<Text> first_not_allowed(Texts list, Texts models);

} // namespace pg_org
