import account from '../locales/en/account.json'
import ai from '../locales/en/ai.json'
import billing from '../locales/en/billing.json'
import common from '../locales/en/common.json'
import conversations from '../locales/en/conversations.json'
import errors from '../locales/en/errors.json'
import messages from '../locales/en/messages.json'
import signIn from '../locales/en/sign-in.json'
import stories from '../locales/en/stories.json'

/** The texts of one language, by area. */
export const resources = { account, ai, billing, common, conversations, errors, messages, signIn, stories }
