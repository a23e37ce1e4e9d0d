//! Performs the steps of a plan, one after the other, by AWS's own operations.
//!
//! It stops at the first refusal. What was done stays, and the next deploy goes on from there.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::found::{DRAFT, STATEMENT};
use super::plan::{self, Act, Known, Retag};
use super::wish::{Wish, with};
use crate::aws::AGENT;
use crate::client::Client;
use crate::stream::Failure;

/// How long a thing may take to settle, and how often it is looked at.
const SETTLES: Duration = Duration::from_secs(60);
const LOOKS: Duration = Duration::from_millis(100);

pub(super) struct Actor<'a> {
    pub(super) client: &'a Client,
    pub(super) wish: &'a Wish,
    pub(super) known: Known,
}

impl Actor<'_> {
    pub(super) async fn perform(&mut self, act: &Act) -> Result<(), Failure> {
        match act {
            Act::Role { name, service } => self.create_role(name, service).await,
            Act::CreateFunction(function) => self.create_function(*function).await,
            Act::UpdateFunction { function, code, settings } => {
                self.update_function(*function, *code, *settings).await
            }
            Act::TagFunction { function, change } => self.tag_function(*function, change).await,
            Act::AllowFunction(function) => self.allow_function(*function).await,
            Act::CreateAgent(agent) => self.create_agent(*agent).await,
            Act::UpdateAgent(agent) => self.update_agent(*agent).await,
            Act::TagAgent { agent, change } => self.tag_agent(*agent, change).await,
            Act::CreateGroup(agent, group) => self.create_group(*agent, *group).await,
            Act::UpdateGroup { agent, group, id } => self.update_group(*agent, *group, id).await,
            Act::DeleteGroup { agent, id } => self.delete_group(*agent, id).await,
            Act::Prepare(agent) => self.prepare(*agent).await,
            Act::Alias { agent, alias, id, version } => {
                self.alias((*agent, *alias), id.as_deref(), version.as_deref()).await
            }
        }
    }

    async fn create_role(&mut self, name: &str, service: &str) -> Result<(), Failure> {
        // AWS: the trust that lets a service act as the role (Bedrock user guide, service role of
        // an agent; Lambda developer guide, execution role).
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": service},
        }]});
        let made = self.client.call(
            "iam",
            "CreateRole",
            json!({"RoleName": name, "AssumeRolePolicyDocument": trust.to_string()}),
        );
        let made = made.await?;
        let arn = made["Arn"].as_str().unwrap_or_default();
        self.known.roles.insert(name.to_owned(), arn.to_owned());
        Ok(())
    }

    async fn create_function(&mut self, at: usize) -> Result<(), Failure> {
        let wish = &self.wish.functions[at];
        let code = json!({"ZipFile": STANDARD.encode(&wish.package.zip)});
        let tags = json!(plan::tags(wish));
        let body = with(&self.known.function(wish), &[("Code", code), ("Tags", tags)]);
        let made = self.client.call("lambda", "CreateFunction", body).await?;
        let arn = made["FunctionArn"].as_str().unwrap_or_default();
        self.known.functions.insert(wish.name.clone(), arn.to_owned());
        self.function_settled(at).await?;
        self.allow_function(at).await
    }

    async fn update_function(
        &mut self,
        at: usize,
        code: bool,
        settings: bool,
    ) -> Result<(), Failure> {
        let wish = &self.wish.functions[at];
        if settings {
            let body = self.known.function(wish);
            self.client.call("lambda", "UpdateFunctionConfiguration", body).await?;
            self.function_settled(at).await?;
        }
        if code {
            let zip = STANDARD.encode(&wish.package.zip);
            let body = json!({"FunctionName": wish.name, "ZipFile": zip});
            self.client.call("lambda", "UpdateFunctionCode", body).await?;
            self.function_settled(at).await?;
        }
        Ok(())
    }

    async fn function_settled(&self, at: usize) -> Result<(), Failure> {
        let name = &self.wish.functions[at].name;
        let patience = Patience::new(format!("function {name}"));
        loop {
            let asked = json!({"FunctionName": name});
            let got = self.client.call("lambda", "GetFunctionConfiguration", asked).await?;
            let failed = got["State"] == "Failed" || got["LastUpdateStatus"] == "Failed";
            if failed {
                let why = [&got["StateReason"], &got["LastUpdateStatusReason"]];
                let why = why.iter().find_map(|why| why.as_str()).unwrap_or("no reason given");
                return Err(Failure::Broken(format!("function {name} failed: {why}")));
            }
            if got["State"] != "Pending" && got["LastUpdateStatus"] != "InProgress" {
                return Ok(());
            }
            patience.wait().await?;
        }
    }

    async fn tag_function(&self, at: usize, change: &Retag) -> Result<(), Failure> {
        let arn = &self.known.functions[&self.wish.functions[at].name];
        if !change.drop.is_empty() {
            let asked = json!({"Resource": arn, "tagKeys": change.drop});
            self.client.call("lambda", "UntagResource", asked).await?;
        }
        if !change.set.is_empty() {
            let asked = json!({"Resource": arn, "Tags": change.set});
            self.client.call("lambda", "TagResource", asked).await?;
        }
        Ok(())
    }

    async fn allow_function(&self, at: usize) -> Result<(), Failure> {
        let asked = json!({
            "FunctionName": self.wish.functions[at].name,
            "StatementId": STATEMENT,
            "Action": "lambda:InvokeFunction",
            "Principal": "bedrock.amazonaws.com",
        });
        self.client.call("lambda", "AddPermission", asked).await.map(drop)
    }

    async fn create_agent(&mut self, at: usize) -> Result<(), Failure> {
        let wish = &self.wish.agents[at];
        let tags = json!(wish.tags.clone().unwrap_or_default());
        let body = with(&self.known.agent(wish), &[("tags", tags)]);
        let made = self.client.call(AGENT, "CreateAgent", body).await?;
        let id = made["agent"]["agentId"].as_str().unwrap_or_default();
        self.known.agents.insert(wish.name.clone(), id.to_owned());
        self.agent_settled(at).await.map(drop)
    }

    async fn update_agent(&self, at: usize) -> Result<(), Failure> {
        let body = with(&self.known.agent(&self.wish.agents[at]), &[("agentId", self.id(at))]);
        self.client.call(AGENT, "UpdateAgent", body).await?;
        self.agent_settled(at).await.map(drop)
    }

    fn id(&self, agent: usize) -> Json {
        json!(self.known.agents.get(&self.wish.agents[agent].name))
    }

    /// The agent in a status that is not a passing one.
    async fn agent_settled(&self, at: usize) -> Result<Json, Failure> {
        let name = &self.wish.agents[at].name;
        let patience = Patience::new(format!("agent {name}"));
        loop {
            let got = self.client.call(AGENT, "GetAgent", json!({"agentId": self.id(at)})).await?;
            let agent = &got["agent"];
            match agent["agentStatus"].as_str().unwrap_or_default() {
                "FAILED" => {
                    let why = agent["failureReasons"].to_string();
                    return Err(Failure::Broken(format!("agent {name} failed: {why}")));
                }
                "NOT_PREPARED" | "PREPARED" => return Ok(agent.clone()),
                _ => patience.wait().await?,
            }
        }
    }

    async fn tag_agent(&self, at: usize, change: &Retag) -> Result<(), Failure> {
        let got = self.client.call(AGENT, "GetAgent", json!({"agentId": self.id(at)})).await?;
        let arn = got["agent"]["agentArn"].clone();
        if !change.drop.is_empty() {
            let asked = json!({"resourceArn": arn, "tagKeys": change.drop});
            self.client.call(AGENT, "UntagResource", asked).await?;
        }
        if !change.set.is_empty() {
            let asked = json!({"resourceArn": arn, "tags": change.set});
            self.client.call(AGENT, "TagResource", asked).await?;
        }
        Ok(())
    }

    fn draft(&self, agent: usize) -> [(&'static str, Json); 2] {
        [("agentId", self.id(agent)), ("agentVersion", json!(DRAFT))]
    }

    async fn create_group(&self, agent: usize, group: usize) -> Result<(), Failure> {
        let wish = &self.wish.agents[agent].groups[group];
        let body = with(&self.known.group(wish), &self.draft(agent));
        self.client.call(AGENT, "CreateAgentActionGroup", body).await.map(drop)
    }

    async fn update_group(&self, agent: usize, group: usize, id: &str) -> Result<(), Failure> {
        let wish = &self.wish.agents[agent].groups[group];
        let body = with(&self.known.group(wish), &self.draft(agent));
        let body = with(&body, &[("actionGroupId", json!(id))]);
        self.client.call(AGENT, "UpdateAgentActionGroup", body).await.map(drop)
    }

    async fn delete_group(&self, agent: usize, id: &str) -> Result<(), Failure> {
        // AWS: an enabled group is deleted only where the check of its use is skipped
        // (DeleteAgentActionGroup, skipResourceInUseCheck).
        let more = [("actionGroupId", json!(id)), ("skipResourceInUseCheck", json!(true))];
        let body = with(&with(&json!({}), &self.draft(agent)), &more);
        self.client.call(AGENT, "DeleteAgentActionGroup", body).await.map(drop)
    }

    async fn prepare(&self, at: usize) -> Result<(), Failure> {
        self.client.call(AGENT, "PrepareAgent", json!({"agentId": self.id(at)})).await?;
        let settled = self.agent_settled(at).await?;
        if settled["agentStatus"] == "PREPARED" {
            return Ok(());
        }
        let name = &self.wish.agents[at].name;
        let what = format!("agent {name} was changed by somebody else while it was prepared");
        Err(Failure::Broken(what))
    }

    async fn alias(
        &mut self,
        (agent, alias): (usize, usize),
        id: Option<&str>,
        version: Option<&str>,
    ) -> Result<(), Failure> {
        let (name, wish) = (&self.wish.agents[agent].name, &self.wish.agents[agent].aliases[alias]);
        let follows = wish.version.is_none();
        let version = version.or_else(|| self.known.versions.get(name).map(String::as_str));
        let mut body = with(&wish.body(version), &[("agentId", self.id(agent))]);
        let made = match id {
            None => self.client.call(AGENT, "CreateAgentAlias", body).await?,
            Some(id) => {
                body["agentAliasId"] = json!(id);
                self.client.call(AGENT, "UpdateAgentAlias", body).await?
            }
        };
        let id = made["agentAlias"]["agentAliasId"].as_str().unwrap_or_default();
        let version = self.alias_settled(agent, id).await?;
        if follows {
            self.known.versions.insert(name.clone(), version);
        }
        Ok(())
    }

    /// The version that an alias leads to, once it is ready.
    async fn alias_settled(&self, agent: usize, id: &str) -> Result<String, Failure> {
        let patience = Patience::new(format!("alias {id}"));
        loop {
            let asked = json!({"agentId": self.id(agent), "agentAliasId": id});
            let got = self.client.call(AGENT, "GetAgentAlias", asked).await?;
            let alias = &got["agentAlias"];
            match alias["agentAliasStatus"].as_str().unwrap_or_default() {
                "FAILED" => {
                    let why = alias["failureReasons"].to_string();
                    return Err(Failure::Broken(format!("alias {id} failed: {why}")));
                }
                "PREPARED" => {
                    let route = &alias["routingConfiguration"][0]["agentVersion"];
                    return Ok(route.as_str().unwrap_or_default().to_owned());
                }
                _ => patience.wait().await?,
            }
        }
    }
}

/// Waits between looks, and not for ever.
struct Patience {
    for_what: String,
    until: Instant,
}

impl Patience {
    fn new(for_what: String) -> Patience {
        Patience { for_what, until: Instant::now() + SETTLES }
    }

    async fn wait(&self) -> Result<(), Failure> {
        if Instant::now() > self.until {
            let seconds = SETTLES.as_secs();
            let what = format!("{} did not settle within {seconds} s", self.for_what);
            return Err(Failure::Broken(what));
        }
        tokio::time::sleep(LOOKS).await;
        Ok(())
    }
}
