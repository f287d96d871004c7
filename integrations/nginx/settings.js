// The settings of pg_org.js. nginx reads this file when it starts: let only root read it.
export default {
  pgOrg: 'http://127.0.0.1:4000',
  key: 'sk-llm-gateway', // has the permission usage
  providerKey: 'sk-of-the-provider',
  holdSeconds: 900, // the longest time that a call may take, plus a minute

  // Of a token, in millionths of a dollar, and the longest answer of each model that may be called.
  models: {
    'gpt-4o': { prompt: 2.5, answer: 10, maxAnswer: 16384 },
    'text-embedding-3-small': { prompt: 0.02, answer: 0, maxAnswer: 0 },
  },
};
