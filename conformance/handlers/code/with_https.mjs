import https from "node:https";

const agent = new https.Agent({ keepAlive: true });

export const handler = (event) => new Promise((resolve, reject) => {
  const request = https.request(`${process.env.SHOP}/orders`, { method: "POST", agent }, (answer) => {
    let body = "";
    answer.on("data", (part) => { body += part; });
    answer.on("end", () => resolve(JSON.parse(body)));
  });
  request.on("error", reject);
  request.end(JSON.stringify({ id: event.order }));
});
