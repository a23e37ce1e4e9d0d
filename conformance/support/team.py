"""A supervisor and its collaborators, each with a model id of its own."""

from support.agents import unique


def alias_arn(cp, agent_id, alias_id):
    return cp.get_agent_alias(agentId=agent_id, agentAliasId=alias_id)["agentAlias"]["agentAliasArn"]


def associate(cp, supervisor, name, one, alias, instruction=None, **fields):
    made = cp.associate_agent_collaborator(
        agentId=supervisor.id, agentVersion="DRAFT", collaboratorName=name,
        agentDescriptor={"aliasArn": alias_arn(cp, one.id, alias)},
        collaborationInstruction=instruction or f"Asked about everything that is {name}.", **fields)
    return made["agentCollaborator"]


class Team:
    """`members` are (name, set up): `set up` gets the agent before it is prepared."""

    def __init__(self, agent, models, cp, mode="SUPERVISOR", relay=(), **members):
        self.models = {name: models.model(unique("test.member")) for name in members}
        self.members, self.aliases = {}, {}
        self.supervisor = agent(agentCollaboration=mode)
        for name, set_up in members.items():
            one = agent(foundationModel=self.models[name].id)
            if set_up:
                set_up(one)
            self.aliases[name] = one.prepare().alias()
            self.members[name] = one
            history = {"relayConversationHistory": "TO_COLLABORATOR"} if name in relay else {}
            associate(cp, self.supervisor, name, one, self.aliases[name], **history)
        self.supervisor.prepare()

    def arn(self, name):
        return alias_arn(self.supervisor.cp, self.members[name].id, self.aliases[name])

    def talk(self, *args, **fields):
        return self.supervisor.talk(*args, **fields)


def tell(*letters):
    """Calls of the tool by which a supervisor asks its collaborators."""
    return [("AgentCommunication__sendMessage", {"recipient": name, "content": text})
            for name, text in letters]
