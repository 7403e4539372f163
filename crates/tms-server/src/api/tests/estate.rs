use super::*;

/// Sends a request with headers of its own and answers its tag, too.
async fn with(
    client: &Client,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> (StatusCode, Value) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {}", client.token));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request.body(body.into()).unwrap()).await
}

async fn tag(client: &Client, path: &str) -> String {
    let request = Request::get(path).header("authorization", format!("Bearer {}", client.token));
    let response = client.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    response.headers()[header::ETAG].to_str().unwrap().to_owned()
}

const JSON: (&str, &str) = ("content-type", "application/json");

async fn tree() -> Client {
    let client = client().await;
    for (id, parent) in [("bank", Value::Null), ("b-branch", json!("bank")), ("a-shop", json!("b-branch"))] {
        let group = json!({"id": id, "parent": parent, "kind": "other", "name": id});
        let (status, body) = client.post("/api/v1/groups", group).await;
        assert_eq!((status, &body["version"]), (StatusCode::CREATED, &json!(1)), "{body}");
    }
    client
}

#[tokio::test]
async fn groups_are_listed_as_a_tree_changed_by_their_tags_and_deleted_when_empty() {
    let client = tree().await;
    let (_, first) = client.get("/api/v1/groups?limit=2").await;
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|g| g["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&first), ["bank", "b-branch"]);
    let (_, second) = client.get(&format!("/api/v1/groups?after={}", first["next"].as_str().unwrap())).await;
    assert_eq!(ids(&second), ["a-shop"]);
    assert_eq!(ids(&client.get("/api/v1/groups?under=b-branch").await.1), ["b-branch", "a-shop"]);
    problem(client.get("/api/v1/groups?under=x").await, 404, "group_not_found");

    let shop = "/api/v1/groups/a-shop";
    let seen = tag(&client, shop).await;
    let change = json!({"name": "门店", "templates": ["base"], "attributes": {"floor": 3}});
    let (status, body) = with(&client, "PATCH", shop, &[JSON, ("if-match", &seen)], change.to_string()).await;
    assert_eq!((status, &body["name"], &body["version"]), (StatusCode::OK, &json!("门店"), &json!(2)));
    assert_eq!((&body["templates"], &body["attributes"]), (&json!(["base"]), &json!({"floor": 3})));
    let late = with(&client, "PATCH", shop, &[JSON, ("if-match", &seen)], change.to_string()).await;
    problem(late, 412, "precondition_failed");

    let under = |parent: Value| json!({ "parent": parent });
    let cycle = client.call("PATCH", "/api/v1/groups/bank", Some(under(json!("a-shop")))).await;
    let detail = problem(cycle, 422, "invalid");
    assert!(detail.starts_with("group bank would stand under itself: bank under a-shop"), "{detail}");
    let (_, top) = client.call("PATCH", shop, Some(under(Value::Null))).await;
    assert_eq!((&top["parent"], &top["name"]), (&Value::Null, &json!("门店")));
    client.call("PATCH", shop, Some(under(json!("b-branch")))).await;
    let (_, sight) = client.get(shop).await;
    assert_eq!(sight["path"], json!(["bank", "b-branch", "a-shop"]));
    assert_eq!((&sight["terminals"], &sight["children"]), (&json!(0), &json!([])));

    let detail = problem(client.call("DELETE", "/api/v1/groups/bank", None).await, 409, "conflict");
    assert_eq!(detail, "group bank cannot be deleted: 1 groups and 0 terminals belong to it");
    let stale = with(&client, "DELETE", shop, &[("if-match", &seen)], Body::empty()).await;
    problem(stale, 412, "precondition_failed");
    assert_eq!(client.call("DELETE", shop, None).await.0, StatusCode::NO_CONTENT);
    problem(client.get(shop).await, 404, "group_not_found");
    let twice = json!({"id": "bank", "kind": "acquirer", "name": "x"});
    problem(client.post("/api/v1/groups", twice).await, 409, "conflict");
}

#[tokio::test]
async fn a_place_is_changed_by_what_was_seen_of_it() {
    let client = tree().await;
    client.estate.terminal("10000001").await;
    let place = "/api/v1/terminals/10000001/place";
    let seen = tag(&client, place).await;
    let change = json!({
        "group": "a-shop", "add_tags": ["canary"], "attributes": {"floor": 3, "rented": true},
        "vendor": "PAX", "time_zone": "Asia/Urumqi", "life_cycle": "locked",
    });
    let (status, body) =
        with(&client, "PATCH", place, &[JSON, ("if-match", &seen)], change.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!((&body["group"], &body["tags"]), (&json!("a-shop"), &json!(["canary"])));
    let late = with(&client, "PATCH", place, &[JSON, ("if-match", &seen)], change.to_string()).await;
    problem(late, 412, "precondition_failed");
    let (_, body) =
        client.call("PATCH", place, Some(json!({"group": null, "attributes": {"floor": null}}))).await;
    assert_eq!((&body["group"], &body["attributes"]), (&Value::Null, &json!({"rented": true})));
    assert_eq!(client.get("/api/v1/terminals/10000001").await.1["place"]["life_cycle"], "locked");
    for (change, status, code, part) in [
        (json!({"life_cycle": "registered"}), 422, "invalid", "is locked and cannot become registered"),
        (json!({"group": "nowhere"}), 404, "group_not_found", "no group nowhere"),
        (json!({"tags": ["Upper"]}), 400, "body_invalid", "is not a tag"),
        (json!({"time_zone": "Mars/Base"}), 400, "body_invalid", "is not a time zone"),
        (json!({"colour": "red"}), 400, "body_invalid", "unknown field `colour`"),
        (json!({}), 422, "invalid", "nothing to change"),
    ] {
        let detail = problem(client.call("PATCH", place, Some(change)).await, status, code);
        assert!(detail.contains(part), "{detail}");
    }
    client.estate.terminal("10000002").await;
    let replace = "/api/v1/terminals/10000001/replace";
    let (_, heir) = client.post(replace, json!({"by": "10000002"})).await;
    assert_eq!((&heir["terminal"], &heir["attributes"]), (&json!("10000002"), &json!({"rented": true})));
    assert_eq!(client.get(place).await.1["replaced_by"], "10000002");
    problem(client.post(replace, json!({"by": "10000002"})).await, 409, "conflict");
}

#[tokio::test]
async fn terminals_are_listed_by_selector_in_pages_with_their_number() {
    let client = client().await;
    for n in 1..=5 {
        client.estate.terminal(&format!("1000000{n}")).await;
    }
    let list = "/api/v1/terminals?selector=tid%20%21%3D%2010000002&limit=3";
    let (status, first) = client.get(&format!("{list}&count=true")).await;
    assert_eq!((status, &first["total"]), (StatusCode::OK, &json!(4)));
    assert_eq!(first["items"][2]["id"], "10000004");
    let (_, second) = client.get(&format!("{list}&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!((&second["items"][0]["id"], &second["total"]), (&json!("10000005"), &Value::Null));
    assert_eq!(client.get("/api/v1/terminals?count=true&limit=1").await.1["total"], 5);

    let (status, bad) = client.get("/api/v1/terminals?selector=all%20and%20modle%20%3D%20A920").await;
    assert_eq!(bad["selector"]["column"], 9, "{bad}");
    assert_eq!(
        (&bad["selector"]["found"], &bad["selector"]["suggestion"]),
        (&json!("modle"), &json!("model"))
    );
    problem((status, bad), 422, "selector_invalid");
    let unknown = client.get("/api/v1/terminals?selector=%40north").await;
    problem(unknown, 422, "selector_unknown");
}

#[tokio::test]
async fn a_selector_is_saved_used_by_name_tried_and_forgotten() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    let path = "/api/v1/selectors/simulated";
    let content = json!({"selector": "model=SIM-8", "description": "of the lab"});
    problem(client.call("PUT", path, Some(content.clone())).await, 428, "precondition_required");
    let (status, saved) = client.put(path, None, content.clone()).await;
    assert_eq!((status, &saved["author"]), (StatusCode::OK, &json!("admin")));
    assert_eq!(saved["selector"], "model = \"SIM-8\"");
    problem(client.put(path, None, content.clone()).await, 412, "precondition_failed");
    let seen = tag(&client, path).await;
    let known = with(&client, "GET", path, &[("if-none-match", &seen)], Body::empty()).await;
    assert_eq!(known.0, StatusCode::NOT_MODIFIED);
    let wrong = client.put(path, Some(&seen), json!({"selector": "model ="})).await;
    problem(wrong, 422, "selector_invalid");
    problem(client.put("/api/v1/selectors/none", Some("*"), content).await, 412, "precondition_failed");

    let check = |text: &'static str| client.post("/api/v1/selectors/check", json!({ "selector": text }));
    let (_, checked) = check("@simulated").await;
    assert_eq!(checked, json!({"selector": "model = \"SIM-8\"", "count": 1}));
    problem(check("tag").await, 422, "selector_invalid");
    assert_eq!(client.get("/api/v1/terminals?selector=@simulated&count=true").await.1["total"], 1);
    assert_eq!(client.get("/api/v1/selectors").await.1["items"][0]["name"], "simulated");
    assert_eq!(client.call("DELETE", path, None).await.0, StatusCode::NO_CONTENT);
    problem(client.get(path).await, 404, "not_found");
    problem(check("@simulated").await, 422, "selector_unknown");
}

#[tokio::test]
async fn many_terminals_are_changed_after_a_trial() {
    let client = tree().await;
    for n in 1..=3 {
        client.estate.terminal(&format!("1000000{n}")).await;
    }
    let asked = |dry_run: bool| {
        let change = json!({"group": "bank", "add_tags": ["north"]});
        json!({"selector": "tid != 10000003", "change": change, "dry_run": dry_run})
    };
    let (_, trial) = client.post("/api/v1/estate/bulk", asked(true)).await;
    assert_eq!(trial, json!({"dry_run": true, "selected": 2, "changed": 2, "refused": 0, "refusals": []}));
    assert_eq!(client.get("/api/v1/terminals?selector=tag%20north&count=true").await.1["total"], 0);
    let (_, done) = client.post("/api/v1/estate/bulk", asked(false)).await;
    assert_eq!((&done["changed"], &done["dry_run"]), (&json!(2), &json!(false)));
    assert_eq!(client.get("/api/v1/groups/bank").await.1["terminals"], 2);
    let nowhere = json!({"selector": "all", "change": {"group": "x"}, "dry_run": true});
    problem(client.post("/api/v1/estate/bulk", nowhere).await, 404, "group_not_found");
}

#[tokio::test]
async fn a_file_goes_in_and_out() {
    let client = tree().await;
    let csv = [("content-type", "text/csv; charset=utf-8")];
    let file = "id,merchant,profile,group\n1,m,iso87,bank\n2,m,iso87,nowhere\n";
    let import = |query: &'static str| {
        let path = format!("/api/v1/estate/import{query}");
        let client = &client;
        async move { with(client, "POST", &path, &csv, file).await }
    };
    let (status, refused) = import("").await;
    assert_eq!(
        (status, &refused["applied"], &refused["refused"]),
        (StatusCode::OK, &json!(false), &json!(1))
    );
    assert_eq!(
        refused["problems"],
        json!([{"row": 3, "terminal": "2", "reason": "there is no group nowhere"}])
    );
    assert_eq!(import("?partial=true&dry_run=true").await.1["applied"], false);
    assert_eq!(client.get("/api/v1/terminals").await.1["items"], json!([]));
    assert_eq!(import("?partial=true").await.1["applied"], true);
    let (_, known) = client.get("/api/v1/terminals/1").await;
    assert_eq!((&known["enrolled"], &known["place"]["group"]), (&json!(false), &json!("bank")));

    let (_, exported) = client.get("/api/v1/estate/export?selector=group%20%3D%20bank").await;
    let lines: Vec<_> = exported.as_str().unwrap().lines().collect();
    assert_eq!(lines[1], "1,m,iso87,bank,,,,,Asia/Shanghai,registered,");
    let (_, exported) = client.get("/api/v1/estate/export?format=json").await;
    assert_eq!((&exported[0]["id"], &exported[1]), (&json!("1"), &Value::Null));
    let back = with(&client, "POST", "/api/v1/estate/import", &[JSON], exported.to_string()).await;
    assert_eq!(back.1["same"], 1);

    let path = "/api/v1/estate/import";
    problem(with(&client, "POST", path, &[("content-type", "text/plain")], file).await, 415, "media_type");
    problem(with(&client, "POST", path, &csv, "tid\n1\n").await, 422, "invalid");
    problem(with(&client, "POST", path, &csv, vec![b'x'; 33 << 20]).await, 413, "body_too_large");
    problem(client.get("/api/v1/estate/export?format=xml").await, 400, "query_invalid");
}

#[tokio::test]
async fn a_hundred_thousand_rows_fit_into_one_file() {
    let client = logged_in(testing::on(Arc::new(testkit::MemoryStore::new()))).await;
    let (status, _) =
        client.post("/api/v1/groups", json!({"id": "a-shop", "kind": "store", "name": "Shop"})).await;
    assert_eq!(status, StatusCode::CREATED);
    let mut file =
        String::from("id,merchant,profile,group,vendor,serial,time_zone,life_cycle,tags,attr.floor\n");
    for n in 0..100_000 {
        file.push_str(&format!(
            "{n:08},102310060510002,unionpay,a-shop,Vendor,S{n:010},Asia/Shanghai,active,north,3\n"
        ));
    }
    let csv = [("content-type", "text/csv")];
    let (status, done) = with(&client, "POST", "/api/v1/estate/import?dry_run=true", &csv, file).await;
    assert_eq!(
        (status, &done["added"], &done["refused"]),
        (StatusCode::OK, &json!(100_000), &json!(0)),
        "{done}"
    );
    assert_eq!(client.estate.app.store.count_terminals().await.unwrap(), 0, "a trial");
}
